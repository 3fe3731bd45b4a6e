"""Hooks the native parts into setuptools; everything else is in pyproject.toml."""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar, cast

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# setuptools has no such command of its own.
from distutils.command.build_scripts import build_scripts  # isort: skip

ROOT = Path(__file__).resolve().parent
NATIVE = Path("sandbox/harden/_native")
PARTS = ("core", "exec", "prober", "start", "bpf")


def load_native_build() -> ModuleType:
    """Load the build recipe by its path: the package itself cannot be imported before it is built."""
    spec = importlib.util.spec_from_file_location("harden_native_build", ROOT / NATIVE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


native = load_native_build()


class BuildNative(build_ext):
    """build_ext that also makes the static programs and the BPF object; `--only` picks one part."""

    user_options: ClassVar[list[tuple[str, str | None, str]]] = [
        *build_ext.user_options,
        ("only=", None, f"build one native part: {', '.join(PARTS)}"),
        ("sanitize", None, "build harden-exec with sanitizers, for tests"),
    ]

    def initialize_options(self) -> None:
        super().initialize_options()
        self.only: str | None = None
        self.sanitize = False

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.only is not None and self.only not in PARTS:
            sys.exit(f"harden: build: --only={self.only}: choose from {', '.join(PARTS)}")

    def run(self) -> None:
        """Build what is out of date; a lock lets two builds of one checkout follow each other."""
        Path(self.build_temp).mkdir(parents=True, exist_ok=True)
        with Path(self.build_temp, "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                native.check_requirements()
                self._build()
            except native.BuildError as error:
                sys.exit(f"harden: build: {error}")

    def _build(self) -> None:
        if self.only in (None, "core"):
            core = Path(self.build_temp, "_core.c")
            native.write_core_source(core)
            self.extensions[0].sources = [str(core)]
            super().run()
        for name, folder in native.PROGRAMS.items():
            if self.only in (None, folder) and native.build_program(
                name, self.folder() / name, sanitize=bool(self.sanitize) and folder == "exec"
            ):
                self.announce(f"built {name}", level=2)
        if self.only in (None, "bpf") and native.build_bpf(self.folder() / native.BPF_OBJECT, Path(self.build_temp)):
            self.announce(f"built {native.BPF_OBJECT}", level=2)

    def get_source_files(self) -> list[str]:
        """The files that a source distribution needs; the extension's own source is generated."""
        folders = ("", *native.PROGRAMS.values(), "bpf")
        sources = [path for folder in folders for path in native.sources(folder)]
        return [str(NATIVE / "build.py"), *(str(path.relative_to(ROOT)) for path in sources)]

    def get_outputs(self) -> list[str]:
        """Everything that an installation records as built."""
        return [*super().get_outputs(), *(str(self.folder() / name) for name in (*native.PROGRAMS, native.BPF_OBJECT))]

    def folder(self) -> Path:
        """Where the native parts are built."""
        return NATIVE if self.inplace else Path(self.build_lib, "harden/_native")


class BuildPackage(build_py):
    """build_py that leaves the build recipe out of the installed package."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        modules = super().find_package_modules(package, package_dir)  # type: ignore[no-untyped-call]
        return [module for module in modules if module[:2] != ("harden._native", "build")]


class BuildScripts(build_scripts):
    """build_scripts that adds the command itself, which is a program."""

    def run(self) -> None:
        super().run()
        built = cast(BuildNative, self.get_finalized_command("build_ext"))
        shutil.copy2(built.folder() / native.COMMAND, Path(self.build_dir, "harden"))


CORE = Extension(
    "harden._native._core",
    sources=[],
    libraries=["seccomp", "bpf"],
    define_macros=[("Py_LIMITED_API", "0x030b0000")],
    extra_compile_args=["-Wall"],
    py_limited_api=True,
)

setup(
    ext_modules=[CORE],
    cmdclass={"build_ext": BuildNative, "build_py": BuildPackage, "build_scripts": BuildScripts},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
