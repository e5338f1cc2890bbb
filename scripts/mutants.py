#!/usr/bin/env python3
"""Mutation of golden/ops and golden/kernels: one operator, comparison or constant at a time is made another, and
the unit tests that come by there have to notice. tests/golden/mutants.txt keeps what came of each mutant.

All mutants are compiled at once, into a copy of the sources (scripts/mutants.h says how) that is linked with the
test objects of a build that is there, and each is a run of the tests that reach it with QSIM_MUTANT set: killed by a
failure, a signal, or by taking too long. What only the compiler evaluates (sizes of arrays, if constexpr, the value of a constexpr constant, which is mutated where it is
used) has no mutant, nor have the values that members begin with and their descriptions for readers (Fields).

  mutants.py run [--share N] [--seed S] [PATH...]     build, run N mutants (all), write the list
  mutants.py run --survivors                          only those that the list has as surviving, after a new test
  mutants.py sample [--share N] [--seed S] [PATH...]  run N of those that the list has as killed
  mutants.py check                                    does every mutant of the list exist, is each explained?

A survivor's line is followed by `  why: ...`, written by hand: why no test can see a difference. Exit status: 0;
1 a survivor without a reason, or a list that is not of these sources; 2 wrong usage or a failed build.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

from golden_build import ROOT, TESTS, GoldenBuild

LIST = ROOT / "tests/golden/mutants.txt"
OTHER = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "&",
         "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
         "+=": "-=", "-=": "+=", "*=": "+=", "/=": "*=", "<<=": ">>=", ">>=": "<<=", "&=": "|=", "|=": "&="}
UNARY = {"-": ("minus", "+"), "!": ("no", ""), "~": ("complement", "+"), "++": ("up", "--"), "--": ("down", "++")}
TOKEN = re.compile(r"""(?P<skip>//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>(?<![\w.])(?:0[xX][\da-fA-F']+|\d[\d']*)[uUlL]*\b)|(?P<word>[A-Za-z_]\w*)
    |(?P<op><<=|>>=|<=>|->\*|\.\.\.|->|::|\+\+|--|&&|\|\||[-+*/%&|^<>=!]=|<<|>>|[-+*/%&|^<>=!~?:;,.(){}\[\]])""",
                   re.X | re.S | re.M)


class Source:
    """The tokens of a file, and which of them can be mutated."""

    def __init__(self, path):
        self.path, self.text = path, (ROOT / path).read_text()
        self.tokens = [(m.lastgroup, m.group(), m.start(), m.end()) for m in TOKEN.finditer(self.text)
                       if m.lastgroup != "skip"]
        self.functions = [""] * len(self.tokens)
        self.described = [False] * len(self.tokens)
        self.dead = [False] * len(self.tokens)
        self.mark()

    def word(self, i):
        return self.tokens[i][1] if 0 <= i < len(self.tokens) else ""

    def closing(self, i):
        """The token that closes the bracket at i."""
        opens, depth = self.word(i), 0
        closes = {"(": ")", "{": "}", "[": "]", "<": ">"}[opens]
        for j in range(i, len(self.tokens)):
            depth += (self.word(j) == opens) - (self.word(j) == closes)
            if opens == "<" and self.word(j) == ">>":
                depth -= 2
            if depth <= 0:
                return j
        return len(self.tokens) - 1

    def kill(self, first, last):
        for j in range(first, min(last + 1, len(self.tokens))):
            self.dead[j] = True

    def mark(self):
        """Names the function of each token, and excludes what is no expression of the program's."""
        names, statement = [], 0
        for i in range(len(self.tokens)):
            word = self.word(i)
            if word == "{":
                names.append(self.name(statement, i))
            self.functions[i] = "::".join(n for n in names if n).replace("struct ", "")
            inner = [n for n in names if n]
            self.described[i] = bool(inner) and (inner[-1].startswith("struct ") or "Fields" in inner)
            if word == "}" and names:
                names.pop()
            if word in ("{", "}", ";"):
                statement = i + 1
            if word in ("static_assert", "requires", "alignas", "decltype", "sizeof") and self.word(i + 1) in ("(", "{"):
                self.kill(i, self.closing(i + 1))
            if word == "template" and self.word(i + 1) == "<":
                self.kill(i, self.closing(i + 1))
            if word == "if" and self.word(i + 1) == "constexpr":
                self.kill(i, self.closing(i + 2))
            if word == "enum":
                self.kill(i, self.closing(next(j for j in range(i, len(self.tokens)) if self.word(j) == "{")))
            if word == "case":
                self.kill(i, next(j for j in range(i, len(self.tokens)) if self.word(j) == ":"))
            if word == "operator":
                self.kill(i, next(j for j in range(i, len(self.tokens)) if self.word(j) == "("))
            if word == "constexpr":  # the value of a constant
                j = i
                while self.word(j) not in (";", "{", "(", "="):
                    j += 1
                while self.word(j) in ("=", "{") and self.word(j) != ";" and j < len(self.tokens) - 1:
                    j = self.closing(j) if self.word(j) == "{" else j
                    while self.word(j) != ";":
                        j += 1
                    self.kill(i, j)
            if word == "for" and self.word(i + 1) == "(":  # a loop's step: endless, or beside every array
                end = self.closing(i + 1)
                steps = [j for j in range(i, end) if self.word(j) == ";"]
                if steps:
                    self.kill(steps[-1], end)
            if word == "=" and self.word(i + 1) == "0" and self.word(i - 1) in (")", "const"):
                self.kill(i, i + 1)

    def name(self, first, brace):
        words = [self.word(j) for j in range(first, brace)]
        if words[:1] in (["namespace"], ["if"], ["for"], ["while"], ["switch"], ["else"], ["do"]) or "=" in words[:6]:
            return ""
        for j, word in enumerate(words):
            if word in ("struct", "class") and "(" not in words:
                return "struct " + words[j + 1] if j + 1 < len(words) else ""
            if word == "(" and j > 0 and re.match(r"[A-Za-z_]", words[j - 1]) and "return" not in words[:j]:
                return words[j - 1]
        return ""

    def operand(self, i, step, level):
        """The last token of the operand of && or || on one side."""
        stop = {"&&": ("&&", "||"), "||": ("||",)}[level] if step > 0 else {"&&": ("||",), "||": ()}[level]
        stop += (",", ";", "?", ":", "=", "return", "+=")
        j, depth = i + step, 0
        while 0 <= j < len(self.tokens):
            word = self.word(j)
            depth += (word in "([{") - (word in ")]}") if step > 0 else (word in ")]}") - (word in "([{")
            block = step < 0 and word == "}" and depth == 1 and re.match(r"\w", self.word(j + 1))  # a statement before
            if depth < 0 or (depth == 0 and word in stop) or block:
                return j - step
            j += step
        return j - step

    def sites(self):
        """(token, what it becomes, insertions [(offset, before, text)])."""
        for i, (kind, word, start, end) in enumerate(self.tokens):
            if self.dead[i] or not self.functions[i]:
                continue
            before, after = self.text[start - 1], self.text[end:end + 1]
            if kind == "number":
                if self.word(i - 1) == "<" and before == "<":
                    continue
                step = -1 if re.sub(r"\D+$", "", word) not in ("0", "0x0") and (start // 2) % 2 else 1
                yield i, word + (" + 1" if step > 0 else " - 1"), [(start, f"qm::c<@, {step}>("), (end, ")")]
            elif kind == "word" and re.fullmatch(r"k[A-Z]\w*", word) and self.word(i - 1) not in ("::", ".", "->") \
                    and self.word(i + 1) not in ("(", "<", "=", "{", "[", "::"):
                yield i, word + " + 1", [(start, "qm::c<@, 1>("), (end, ")")]
            elif word in ("&&", "||") and before in " \n" and after in " \n" and self.word(i + 1) != "...":
                left, right = self.operand(i, -1, word), self.operand(i, 1, word)
                first, last = self.tokens[left][2], self.tokens[right][3]
                if any(self.dead[j] for j in (left, right)) or "..." in self.text[first:last]:
                    continue
                yield i, OTHER[word], [(first, "qm::flip<@>(qm::flip<@>(bool("), (start, ")) "),
                                       (end, " qm::flip<@>(bool("), (last, ")))")]
            elif word in OTHER and before in " \n" and after in " \n":
                yield i, OTHER[word], [(end, f" qm::m<@> {word}")]
            elif word in UNARY and after not in " \n=>" and before in " (\n[{!-":
                name, other = UNARY[word]
                yield i, other, [(start, f"qm::the_{name}<@>->*"), (end, None)]


class Mutant:
    def __init__(self, source, token, other, edits, number):
        _, word, start, end = source.tokens[token]
        line = source.text.rfind("\n", 0, start) + 1
        stop = source.text.find("\n", start)
        shown = source.text[line:start].lstrip() + f"[{word} -> {other}]" + source.text[end:stop]
        self.path, self.line = source.path, source.text.count("\n", 0, start) + 1
        self.key = f"{source.path} {source.functions[token]}: {shown.split('  //')[0].rstrip()}"
        self.start, self.end, self.edits, self.number = start, end, edits, number
        self.described = source.described[token]


def mutants():
    found, seen = [], {}
    for path in [str(p.relative_to(ROOT)) for folder in ("golden/ops", "golden/kernels")
                 for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".cpp", ".h")]:
        if path.endswith(("fields.h", "names.h")):
            continue  # what describes itself to readers
        source = Source(path)
        for token, other, edits in source.sites():
            mutant = Mutant(source, token, other, edits, len(found) + 1)
            seen[mutant.key] = seen.get(mutant.key, 0) + 1
            if seen[mutant.key] > 1:
                mutant.key += f"  (no. {seen[mutant.key]})"
            found.append(mutant)
    return found


def mutated(path, chosen):
    """The file's text with the mutants in it, line for line."""
    text, edits = (ROOT / path).read_text(), []
    for m in chosen:
        size = m.end - m.start
        for order, (offset, what) in enumerate(m.edits):
            # Outer wrappings of what begins at one place come first, and end last.
            inner = offset != m.edits[0][0] or offset == m.end
            edits.append((offset, 0 if inner else 1, size if inner else -max(e for e, _ in m.edits), order,
                          None if what is None else what.replace("@", str(m.number)), m))
    out, last = [], 0
    for offset, _, _, _, what, m in sorted(edits, key=lambda e: e[:4]):
        if what is None:  # a unary operator: what the first edit put in its place
            last = max(last, m.end)
            continue
        out.append(text[last:offset] if offset > last else "")
        out.append(what)
        last = max(last, offset)
    return f'#include "golden/mutants.h"\n#line 1 "{path}"\n' + "".join(out) + text[last:]


class Build(GoldenBuild):
    """golden/ with its mutants."""

    def __init__(self, base, work, kernels):
        super().__init__(base, work, work.resolve() / "tree", ["-O1", "-fwrapv", "-D_GLIBCXX_ASSERTIONS"],
                         kernels=kernels)

    def write(self, every, left):
        """Writes the copy; returns its sources."""
        shutil.copytree(ROOT / "golden", self.tree / "golden", dirs_exist_ok=True)
        shutil.copy(ROOT / "scripts/mutants.h", self.tree / "golden/mutants.h")
        (self.tree / "golden/ops/mutants.cpp").write_text(RUNTIME.replace("@", str(len(every))))
        for path in {m.path for m in every}:
            (self.tree / path).write_text(mutated(path, [m for m in left if m.path == path]))
        return self.sources()

    def run(self, every, jobs):
        """Compiles all mutants that can stand beside the others; returns them."""
        stamp = self.work / "refused"
        known = set(stamp.read_text().splitlines()) if stamp.exists() else set()
        left = [m for m in every if m.key not in known]
        todo = self.write(every, left)
        while True:
            with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
                said = list(pool.map(self.compile, todo))
            todo = [path for path, text in zip(todo, said) if text]
            if not todo:
                break
            lines, numbers = set(), set()
            for line in "\n".join(said).splitlines():
                place = re.match(r"(golden/(?:ops|kernels)/[\w/]+\.(?:cpp|h)):(\d+):\d+: error", line)
                if place:
                    lines.add((place.group(1), int(place.group(2))))
                if "In instantiation of" in line or "In substitution of" in line:
                    numbers.update(int(n) for n in re.findall(r"\bN = (\d+)", line))
            fewer = [m for m in left if (m.path, m.line) not in lines and m.number not in numbers]
            print(f"{len(left) - len(fewer)} mutants cannot stand beside others", flush=True)
            if len(fewer) == len(left):
                raise SystemExit("mutants: the build failed\n" + "\n".join(said)[:4000])
            left = fewer
            stamp.write_text("".join(m.key + "\n" for m in every if m not in left))
            self.write(every, left)
        for test in TESTS:
            self.link(test)
        return left


RUNTIME = """#include <cstdio>
#include <cstdlib>
namespace qm {
int active = 0;
unsigned char reached[@ + 1];
namespace {
struct Run {
  Run() {
    const char* number = std::getenv("QSIM_MUTANT");
    active = number == nullptr ? 0 : std::atoi(number);
  }
  ~Run() {
    const char* path = std::getenv("QSIM_MUTANTS_REACHED");
    if (path == nullptr) return;
    std::FILE* file = std::fopen(path, "w");
    for (int i = 1; i <= @; ++i) {
      if (reached[i] != 0) std::fprintf(file, "%d\\n", i);
    }
    std::fclose(file);
  }
};
[[gnu::init_priority(101)]] Run run;
}  // namespace
}  // namespace qm
"""


class Tests:
    """What each test reaches, and how long it takes."""

    def __init__(self, build, jobs):
        self.build, self.reached, self.seconds = build, {}, {}
        self.scratch = build.work / "scratch"
        self.scratch.mkdir(exist_ok=True)
        names, digest = [], hashlib.sha256()
        for binary in TESTS:
            digest.update(build.binary(binary).read_bytes())
        kept = build.work / "reached.json"
        if kept.exists():
            known = json.loads(kept.read_text())
            if known["digest"] == digest.hexdigest():
                self.seconds = {tuple(test): seconds for test, seconds in known["seconds"]}
                self.reached = {int(n): [tuple(t) for t in tests] for n, tests in known["reached"].items()}
                return
        for binary in TESTS:
            suite = ""
            listed = subprocess.run([self.build.binary(binary), "--gtest_list_tests"], capture_output=True, text=True,
                                    check=True)
            for line in listed.stdout.splitlines():
                name = line.split("#")[0].rstrip()
                if name.startswith("  "):
                    names.append((binary, suite + name.strip()))
                elif name.endswith("."):
                    suite = name
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(self.visit, names, range(len(names))))
        kept.write_text(json.dumps({"digest": digest.hexdigest(), "seconds": list(self.seconds.items()),
                                    "reached": self.reached}))

    def visit(self, test, number):
        record = str(self.scratch / f"reached-{number}")
        start = time.monotonic()
        done = self.run(test[0], [test[1]], {"QSIM_MUTANTS_REACHED": record}, 600)
        if done[0] != "passed":
            raise SystemExit(f"mutants: {test[1]} fails without a mutant: {done}")
        self.seconds[test] = time.monotonic() - start
        for number in pathlib.Path(record).read_text().split():
            self.reached.setdefault(int(number), []).append(test)
        os.remove(record)

    def run(self, binary, names, environment, limit):
        # A size that became huge is no reason to take the machine's memory.
        command = ["prlimit", "--as=4294967296", self.build.binary(binary), "--gtest_filter=" + ":".join(names),
                   "--gtest_fail_fast", "--gtest_color=no"]
        env = {**os.environ, "TMPDIR": str(self.scratch), **environment}
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit, env=env)
        except subprocess.TimeoutExpired:
            return "killed", "time"
        if done.returncode == 0:
            return "passed", ""
        failed = re.search(r"\[  FAILED  \] ([\w./]+)", done.stdout)
        begun = re.findall(r"\[ RUN      \] ([\w./]+)", done.stdout)
        return "killed", failed.group(1) if failed else f"signal {-done.returncode} in {begun[-1] if begun else binary}"

    def judge(self, mutant):
        """Fast tests first, each binary by itself."""
        tests = sorted(self.reached.get(mutant.number, []), key=self.seconds.get)
        if not tests:
            return "unreached", ""
        for slow in (False, True):
            for binary in TESTS:
                names = [t for t in tests if t[0] == binary and (self.seconds[t] > 0.5) == slow]
                if names:
                    limit = 10 + 5 * sum(self.seconds[t] for t in names)
                    verdict = self.run(binary, [t[1] for t in names], {"QSIM_MUTANT": str(mutant.number)}, limit)
                    if verdict[0] == "killed":
                        return verdict
        return "survived", ""


def read_list():
    """key -> [verdict, reason], in order."""
    entries, key = {}, None
    for line in LIST.read_text().splitlines() if LIST.exists() else []:
        if line.startswith("  why: "):
            entries[key][1] = line[7:]
        elif line and not line.startswith("#"):
            verdict, key = line.split(" | ", 1)
            entries[key] = [verdict, ""]
    return entries


def write_list(entries, seed):
    verdicts = [v.split(":")[0] for v, _ in entries.values()]
    with LIST.open("w") as file:
        file.write("# Mutants of golden/ops and golden/kernels: scripts/mutants.py writes this list and keeps the reasons.\n"
                   f"# {len(entries)} mutants (seed {seed}): {verdicts.count('killed')} killed, "
                   f"{len(verdicts) - verdicts.count('killed')} explained.\n")
        for key, (verdict, why) in sorted(entries.items()):
            file.write(f"{verdict} | {key}\n" + (f"  why: {why}\n" if why else ""))


def unexplained(entries):
    return [k for k, (verdict, why) in entries.items() if not verdict.startswith("killed") and not why]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "sample", "check"])
    parser.add_argument("files", nargs="*", help="only mutants of these files and folders")
    parser.add_argument("--share", type=int, help="how many, chosen by the seed (default: all)")
    parser.add_argument("--survivors", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release",
                        help="where the tests are built (build/release)")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "out/mutants", help="for the copy and its build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_intermixed_args()
    every = mutants()
    known = read_list()
    if arguments.command == "check":
        lost = [k for k in known if k not in {m.key for m in every}]
        for key in lost:
            print(f"not in the sources: {key}")
        for key in unexplained(known):
            print(f"survives, without a reason: {key}")
        print(f"{len(known)} mutants listed, {sum(not m.described for m in every)} in the sources")
        sys.exit(1 if lost or unexplained(known) else 0)
    print(f"{len(every)} mutants, seed {arguments.seed}, in {arguments.work}", flush=True)
    chosen = [m for m in every if not m.described and
              (not arguments.files or any(m.path.startswith(f) for f in arguments.files))]
    if arguments.command == "sample":
        chosen = [m for m in chosen if known.get(m.key, [""])[0].startswith("killed")]
    if arguments.survivors:
        chosen = [m for m in chosen if not known.get(m.key, ["killed"])[0].startswith("killed")]
    build = Build(arguments.build, arguments.work, any(m.path.startswith("golden/kernels") for m in chosen))
    left = set(build.run(every, arguments.jobs))
    tests = Tests(build, arguments.jobs)
    chosen = [m for m in chosen if m in left]
    if arguments.share is not None:
        chosen = sorted(random.Random(arguments.seed).sample(chosen, min(arguments.share, len(chosen))),
                        key=lambda m: m.number)
    print(f"{len(left)} compiled, {len(tests.reached)} reached by {len(tests.seconds)} tests; {len(chosen)} chosen",
          flush=True)
    now = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, (verdict, by) in zip(chosen, pool.map(tests.judge, chosen)):
            if len(now) % 25 == 24:
                print(f"{len(now) + 1} of {len(chosen)}", flush=True)
            now[mutant.key] = [verdict + (f": {by}" if by else ""), known.get(mutant.key, ["", ""])[1]]
            if verdict != "killed":
                print(f"{verdict} | {mutant.key} ({mutant.path}:{mutant.line})", flush=True)
    if arguments.command == "run":
        keys = {m.key for m in every if not m.described}
        write_list({**{k: v for k, v in known.items() if k in keys}, **now}, arguments.seed)
    killed = sum(v.startswith("killed") for v, _ in now.values())
    print(f"[ mutants ] {len(now)} mutants: {killed} killed, {len(now) - killed} survive, "
          f"{len(unexplained(now))} of them without a reason")
    sys.exit(1 if unexplained(now) else 0)


if __name__ == "__main__":
    main()
