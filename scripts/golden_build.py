"""golden/ compiled another way (with mutants, with counters) and linked with the test objects of a build that is
there: what scripts/mutants.py and scripts/coverage.py share."""
import hashlib
import json
import pathlib
import re
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The unit tests of golden/, and the second derivations that it is held to.
TESTS = ["tests/golden/golden_test", "tests/program/general_test", "tests/program/program_test",
         "tests/golden/derivation_test"]


class GoldenBuild:
    """`tree`: where golden/ is compiled from; `base`: a build with the tests; `more`: flags. Without `kernels` those are
    the build's own, which takes a fifth of the time."""

    def __init__(self, base, work, tree, more, compiler=None, kernels=True):
        self.base, self.work, self.tree, self.kernels = base.resolve(), work.resolve(), tree, kernels
        if not (self.base / "compile_commands.json").exists():
            raise SystemExit(f"{base}: no build there; configure it and build {' '.join(TESTS)}")
        commands = json.loads((self.base / "compile_commands.json").read_text())
        self.flags = {}
        for library in ("qsim_golden", "qsim_kernels"):
            words = next(shlex.split(c["command"]) for c in commands if f"/{library}.dir/" in c["command"])
            while not re.search(r"(\+\+|cc|clang)(-\d+)?$", words[0]):  # a launcher
                words = words[1:]
            skip = {i for i, w in enumerate(words) if w in ("-o", "-c")}
            keep = [w for i, w in enumerate(words) if i not in skip and i - 1 not in skip]
            # Before the build's own -I.
            self.flags[library] = [compiler or keep[0], f"-I{self.tree}", *keep[1:], "-w", *more]

    def sources(self):
        """The largest first."""
        found = [str(f.relative_to(self.tree)) for f in (self.tree / "golden").rglob("*.cpp")]
        found = [f for f in found if self.kernels or not f.startswith("golden/kernels")]
        return sorted(found, key=lambda f: -(self.tree / f).stat().st_size)

    def text(self, path, seen):
        """A source with all of golden/ that it includes."""
        if path in seen or not (self.tree / path).exists():
            return ""
        seen.add(path)
        text = (self.tree / path).read_text()
        return text + "".join(self.text(p, seen) for p in re.findall(r'#include "(golden/[^"]+)"', text))

    def compile(self, path):
        """Compiles what has changed; returns what the compiler said where it failed."""
        flags = self.flags["qsim_kernels" if path.startswith("golden/kernels") else "qsim_golden"]
        out = self.work / "objects" / (path + ".o")
        key = hashlib.sha256((repr(flags) + self.text(path, set())).encode()).hexdigest()
        known = out.with_suffix(".key")
        if out.exists() and known.exists() and known.read_text() == key:
            return ""
        out.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([*flags, "-o", out, "-c", self.tree / path], cwd=self.base, capture_output=True, text=True)
        if done.returncode == 0:
            known.write_text(key)
        return done.stderr if done.returncode else ""

    def link(self, test, more=()):
        line = subprocess.run(["ninja", "-C", self.base, "-t", "commands", test], capture_output=True, text=True,
                              check=True).stdout.splitlines()[-1]
        words = shlex.split(next(part for part in line.split("&&") if " -o " in part))
        at = words.index("-o")
        replaced = ["libqsim_golden.a"] + ["libqsim_kernels.a"] * self.kernels
        kernels = self.kernels and any(w.endswith("libqsim_kernels.a") for w in words)
        objects = [str(o) for o in sorted((self.work / "objects").rglob("*.o")) if kernels or "/kernels/" not in str(o)]
        libraries = [w for w in words[at + 2:] if pathlib.Path(w).name not in replaced]
        self.binary(test).parent.mkdir(exist_ok=True)
        # First, so that a header's functions are theirs, and not the tests'.
        compiler = self.flags["qsim_golden"][0]
        subprocess.run([compiler, *objects, *words[1:at + 1], self.binary(test), *libraries, *more], cwd=self.base,
                       check=True)

    def binary(self, test):
        return self.work / "tests" / pathlib.Path(test).name
