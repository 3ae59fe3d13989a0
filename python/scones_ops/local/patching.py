"""Replaces parts of moto that are imported by name into many modules."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from typing import Any


def replace_everywhere(package: str, name: str, value: Any) -> int:
    """Bind `name` to `value` in every module of `package` that has it, and return in how many.

    All modules of the package are imported first, so that none can bring the old one back later.
    """
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, prefix=f"{package}."):
        # Moto ships modules that even it cannot import.
        with contextlib.suppress(ImportError):
            importlib.import_module(info.name)
    replaced = 0
    for module_name, module in list(sys.modules.items()):
        if (module_name == package or module_name.startswith(f"{package}.")) and name in vars(module):
            setattr(module, name, value)
            replaced += 1
    return replaced
