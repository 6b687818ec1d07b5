"""The cache on disk, under the compiler's name for it; it lies in `runtime/cache.py`, where compiled modules reach it too."""

from __future__ import annotations

from seqc.runtime.cache import LIMIT, Build, Cache, CacheWarning, Entry, Listed, default_root, key_of

__all__ = ["LIMIT", "Build", "Cache", "CacheWarning", "Entry", "Listed", "default_root", "key_of"]
