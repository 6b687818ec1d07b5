"""The cache on disk, under the name that the compiler uses; it lies in `runtime/cache.py`, where compiled modules reach it too."""

from __future__ import annotations

from seqc.runtime.cache import LIMIT, Build, Cache, CacheWarning, Entry, Listed, default_root, key_of

__all__ = ["LIMIT", "Build", "Cache", "CacheWarning", "Entry", "Listed", "default_root", "key_of"]
