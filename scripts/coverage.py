#!/usr/bin/env python3
"""Lines and branches of golden/ that its unit tests and those of whole programs run, by clang's counters: golden/ is
compiled with them and linked with the test objects of a build that is there.

  coverage.py [--build DIR] [--least PERCENT]

Prints the share of each file and what no test runs. tests/golden/uncovered.txt explains the exceptions, a line each:
`file: text of the line | why`. Exit status: 0; 1 fewer than --least percent (98) of lines or branches, or a line that
no test runs and nobody explains; 2 wrong usage or a failed build; 77 without clang or llvm-cov.
"""
import argparse
import bisect
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from golden_build import ROOT, TESTS, GoldenBuild

LIST = ROOT / "tests/golden/uncovered.txt"
# Whole programs, and what describes operations: they run what no test of one operation does.
MORE = ["tests/export/describe_equations_test", "tests/export/every_operation_test", "tests/docs/operations_table_test",
        "tests/calibrate/whole_programs_test", "tests/run/run_test"]


def explained():
    reasons = {}
    for line in LIST.read_text().splitlines() if LIST.exists() else []:
        if line and not line.startswith("#"):
            place, why = line.rsplit(" | ", 1)
            reasons[place] = why
    return reasons


def chosen_lines(source):
    """Lines of what `if constexpr` chooses, with its else: clang 14 gives them counts of others."""
    code = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*', lambda m: " " * len(m[0]), source)

    def behind(at, closes):
        """Behind the bracket or semicolon that ends what begins at `at`."""
        depth = 0
        while True:
            depth += (code[at] in "({[") - (code[at] in ")}]")
            at += 1
            if depth == 0 and code[at - 1] in closes:
                return at

    rows = set()
    for match in re.finditer(r"if constexpr\s*", code):
        at = behind(match.end(), ")")
        while True:
            begin = at + len(code[at:]) - len(code[at:].lstrip())
            at = behind(begin, "}" if code[begin] == "{" else ";")
            first, last = (code.count("\n", 0, place) + 1 for place in (begin, at))
            rows |= set(range(first + (code[begin] == "{"), last + 1))
            other = re.match(r"\s*else\b(?!\s*if constexpr)\s*(if\s*(?=\())?", code[at:])
            if not other:
                break
            at += other.end()
            if other[1]:
                at = behind(at, ")")
    return rows


def measure(build, jobs):
    """llvm-cov's two exports, of all tests together: as JSON (branches have columns there) and as lcov (lines)."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        said = [text for text in pool.map(build.compile, build.sources()) if text]
    if said:
        sys.exit("coverage: the build failed\n" + "\n".join(said)[:4000])
    profiles = []
    for test in TESTS + MORE:
        build.link(test, ["-fprofile-instr-generate"])
        profiles.append(build.work / (pathlib.Path(test).name + ".profraw"))
        subprocess.run([build.binary(test), "--gtest_brief=1"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "LLVM_PROFILE_FILE": str(profiles[-1])})
    merged = build.work / "profile"
    subprocess.run(["llvm-profdata", "merge", "-o", merged, *profiles], check=True)
    objects = [word for test in TESTS + MORE for word in ("-object", build.binary(test))][1:]
    return [subprocess.run(["llvm-cov", "export", f"-format={kind}", "-instr-profile", merged, *objects], check=True,
                           capture_output=True, text=True).stdout for kind in ("text", "lcov")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release",
                        help="where the tests are built (build/release)")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "out/coverage")
    parser.add_argument("--least", type=float, default=98)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    if not all(shutil.which(tool) for tool in ("clang++", "llvm-cov", "llvm-profdata")):
        print("SKIPPED: clang++, llvm-cov or llvm-profdata is not installed")
        sys.exit(77)
    build = GoldenBuild(arguments.build, arguments.work, ROOT,
                        ["-O1", "-fprofile-instr-generate", "-fcoverage-mapping"], "clang++")
    # The compilers differ in how they keep floating point out (golden/CMakeLists.txt).
    for library, flags in build.flags.items():
        build.flags[library] = [f for f in flags if f != "-mgeneral-regs-only"]
    as_json, lcov = measure(build, arguments.jobs)
    data = json.loads(as_json)["data"][0]
    sources = {}

    def text(path, line):
        if path not in sources:
            sources[path] = (ROOT / path).read_text().splitlines()
        return sources[path][line - 1].strip()

    def inside(name):
        path = os.path.relpath(name, ROOT)
        return path if path.startswith("golden/") else None

    # A function ran where one of its instances did. One that only the compiler evaluates has no line to run.
    ran, ends = {}, {}
    for function in data["functions"]:
        path = inside(function["filenames"][0])
        if path:
            first, _, last = function["regions"][0][:3]
            ran[path, first] = ran.get((path, first), False) or function["count"] > 0
            ends[path, first] = last
    never, compiled = {}, set()
    for (path, first), yes in ran.items():
        if not yes:
            head = " ".join(text(path, line) for line in range(max(1, first - 2), first + 1))
            rows = {(path, line) for line in range(first, ends[path, first] + 1)}
            if "constexpr" in head.rsplit("}", 1)[-1]:
                compiled |= rows
            else:
                never.update({row: first for row in rows})
    by_compiler = {}
    lines, branches = {}, {}  # place -> whether it ran, in any instance
    path = None
    for record in lcov.splitlines():
        what, _, rest = record.partition(":")
        if what == "SF":
            path = inside(rest)
            if path:
                by_compiler[path] = chosen_lines((ROOT / path).read_text())
        elif what == "DA" and path:
            line, number = (int(n) for n in rest.split(",")[:2])
            if (path, line) not in compiled and line not in by_compiler[path]:
                lines[path, line] = lines.get((path, line), False) or number > 0
    for file in data["files"]:
        path = inside(file["filename"])
        starts = [segment[:2] for segment in file["segments"]]
        for first, column, _, _, taken, not_taken, *_ in file.get("branches", []) if path else []:
            # Beside every enumerator, a switch has a branch for none of them.
            line = text(path, first)
            # Where it came by and took neither side, the compiler knows the condition.
            if taken + not_taken == 0 and file["segments"][bisect.bisect_right(starts, [first, column]) - 1][2] > 0:
                continue
            if (path, first) in compiled or "if constexpr" in line or line.startswith("switch ("):
                continue
            for side, number in (("true", taken), ("false", not_taken)):
                key = (path, first, column, side)
                branches[key] = branches.get(key, False) or number > 0
    # What is missing: whole functions by their first line, other lines, and sides of conditions.
    missing = {}
    for table in (lines, branches):
        for key in sorted(k for k, yes in table.items() if not yes):
            start = never.get(key[:2])
            line = start or key[1]
            if text(key[0], line) == "}":
                continue
            what = "never run" if start or table is lines else f"never {key[3]} from column {key[2]} on"
            place = missing.setdefault(f"{key[0]}: {text(key[0], line)}", [f"{key[0]}:{line}"])
            if what not in place:
                place.append(what)
    reasons = explained()
    for place, what in missing.items():
        if place not in reasons:
            print(f"{', '.join(what)}: {place.split(': ', 1)[1]}")
    shares = [100 * sum(t.values()) / len(t) for t in (lines, branches)]
    lost = set(missing) - set(reasons)
    print(f"[ coverage ] golden/: {shares[0]:.2f} % of {len(lines)} lines, {shares[1]:.2f} % of {len(branches)} branches; "
          f"{len(set(missing) & set(reasons))} places explained, {len(lost)} not")
    for place in reasons:
        if place not in missing:
            print(f"explained, but covered or gone: {place}")
    sys.exit(1 if min(shares) < arguments.least or lost else 0)


if __name__ == "__main__":
    main()
