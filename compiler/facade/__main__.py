"""`python -m seqc`: the command line."""

from seqc.compiler.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
