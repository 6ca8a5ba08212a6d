"""Would the tests notice? Runs them on sampled mutants of the core.

    python -m tests.mutants --output=mutants.jsonl      # goes on where it stopped

A mutant is one change by an operator of cosmic-ray: a number one off, a comparison, a
sign or a condition turned, a loop left out. Cosmic-ray itself starts a process for each
mutant, and mutmut leaves out what is decorated, as all layers are; here TensorFlow is
imported once, and each mutant is a fork of that process, in which the import system
gives the changed source and pytest runs the tests of the mutant's room until one fails,
first the files that name most of what the module defines. A person reads what survived,
and tries it by hand where it lies in a tf.function, whose source AutoGraph may read
from the file itself.
"""

import argparse
import ast
import importlib
import importlib.machinery
import json
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

OPERATORS = (
    "NumberReplacer", "AddNot", "ZeroIterationForLoop", "ExceptionReplacer",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr",
    "ReplaceOrWithAnd", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak",
    "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_FloorDiv", "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_Mod_Add",
    "ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
)  # fmt: skip

# Files of slimnets, how many mutants of them, and the tests that should notice.
ROOMS = (
    ("scopes.py", 10, "test_scopes test_rules"),
    ("end_points.py", 10, "test_features test_model slim/test_facade"),
    ("features.py", 8, "test_features test_necks"),
    ("blocks/*", 26, "test_blocks test_features nets/test_golden_slim"),
    (
        "rows/*",
        34,
        "nets/test_families test_features nets/test_freezing nets/test_behaviours "
        "nets/test_manifests nets/test_golden_slim nets/test_dimensions "
        "nets/test_slim_networks nets/test_point_cloud test_factory",
    ),
    (
        "units/*",
        30,
        "nets/test_families test_features nets/test_torch_fixtures "
        "nets/test_golden_slim nets/test_manifests nets/test_behaviours "
        "inspection/test_summary nets/test_keras_networks nets/test_slim_networks "
        "nets/test_point_cloud",
    ),
    (
        "layers/*",
        36,
        "layers test_weight_transforms test_quantization test_rules "
        "nets/test_golden_slim nets/test_behaviours nets/test_slim_networks "
        "slim/test_forms",
    ),
    ("checkpoints/*", 26, "checkpoints test_trained weights/test_loading"),
    ("training/*", 26, "training"),
    ("data/geometry.py data/orientation.py", 8, "data test_photos"),
    ("data/augmentation.py data/preprocessing.py data/operations.py", 8, "data"),
)


def positions(source):
    """What can be done where: {(line, column): [(operator, occurrence)]}."""
    from cosmic_ray import ast as nodes
    from cosmic_ray.plugins import get_operator

    left_out = list(_annotations(source))
    tree = list(nodes.ast_nodes(nodes.get_ast(source)))
    found = {}
    for name in OPERATORS:
        operator, occurrence = get_operator(f"core/{name}")(), 0
        for node in tree:
            for start, _ in operator.mutation_positions(node):
                if not any(first <= start < last for first, last in left_out):
                    found.setdefault(start, []).append((name, occurrence))
                occurrence += 1
    return found


def _annotations(source):
    """Ranges of type hints and of the texts of errors."""
    for node in ast.walk(ast.parse(source)):
        hints = (getattr(node, "annotation", None), getattr(node, "returns", None))
        texts = [node.exc] if isinstance(node, ast.Raise) else []
        for part in (*hints, *texts):
            if part is not None:
                yield (
                    (part.lineno, part.col_offset),
                    (part.end_lineno, part.end_col_offset),
                )


def sample(seed):
    """The mutants in random order: dicts of file, line, operator, occurrence, tests."""
    rng, mutants = random.Random(seed), []
    for patterns, number, tests in ROOMS:
        places = []
        for pattern in patterns.split():
            for path in sorted(pathlib.Path("slimnets").glob(pattern)):
                if path.suffix == ".py":
                    found = sorted(positions(path.read_text()).items())
                    places += [(path, *place) for place in found]
        for path, (line, _), choices in rng.sample(places, number):
            name, occurrence = rng.choice(choices)
            mutants.append(
                {
                    "file": str(path),
                    "line": line,
                    "operator": name,
                    "occurrence": occurrence,
                    "tests": _files(tests, path),
                }
            )
    rng.shuffle(mutants)
    return mutants


def _files(tests, path):
    """Test files, first those that name most of what the module at `path` defines."""
    tree = ast.parse(path.read_text())
    names = {path.stem} | {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }

    def named(file):
        text = file.read_text()
        return len([name for name in names if re.search(rf"\b{name}\b", text)])

    root = pathlib.Path("tests")
    found = []
    for test in tests.split():
        found += sorted((root / test).glob("test_*.py")) or [root / f"{test}.py"]
    return [str(file) for file in sorted(found, key=named, reverse=True)]


def mutated(mutant):
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operator = get_operator(f"core/{mutant['operator']}")()
    source = pathlib.Path(mutant["file"]).read_text()
    return mutate_code(source, operator, mutant["occurrence"])


def run(tests, seconds, log, path, source):
    """Runs `tests` in a fork in which the file at `path` reads `source`."""
    process = os.fork()
    if process == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 9))
        with open(log, "wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = 3
        try:
            code = _test(tests, pathlib.Path(path).resolve(), source)
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(process, 0)
    ends = {0: "survived", 1: "killed", -signal.SIGXCPU: "survived so far"}
    return ends.get(os.waitstatus_to_exitcode(status), "killed: nothing runs")


def _test(tests, path, source):
    import pytest

    read = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader, name):
        if pathlib.Path(loader.path).resolve() == path:
            return compile(source, loader.path, "exec")
        return read(loader, name)

    def other_process(*args, **kwargs):
        pytest.skip("a process of its own, which would not have the mutant")

    importlib.machinery.SourceFileLoader.get_code = get_code
    subprocess.Popen.__init__ = other_process
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line", "--durations=5"]
    return int(pytest.main([*options, *tests]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="mutants.jsonl")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, help="of tests, for each mutant; else all")
    parser.add_argument("--seconds", type=int, default=60, help="of the processor's")
    parser.add_argument("--again", help="only the survivors that this file tells of")
    options = parser.parse_args()
    output = pathlib.Path(options.output)
    done = output.read_text().splitlines() if output.exists() else []
    if options.again:
        lines = map(json.loads, pathlib.Path(options.again).read_text().splitlines())
        mutants = [line for line in lines if line["outcome"].startswith("survived")]
    else:
        mutants = sample(options.seed)
    for name in ("h5py", "keras", "tensorflow", "tf_slim"):  # What a fork inherits.
        importlib.import_module(name)

    for number, mutant in enumerate(mutants):
        if number < len(done):
            continue
        started = time.monotonic()
        log = f"{output}.{number}.log"
        tests = mutant["tests"][: options.files]
        try:
            source = mutated(mutant)
        except AttributeError:  # Of an exception whose name has a dot.
            mutant["outcome"] = "cosmic-ray cannot make it"
        else:
            mutant["outcome"] = run(tests, options.seconds, log, mutant["file"], source)
            mutant["seconds"] = round(time.monotonic() - started, 1)
            mutant["text"] = source.splitlines()[mutant["line"] - 1].strip()
        with output.open("a") as file:
            file.write(json.dumps(mutant) + "\n")
        print(number, {k: v for k, v in mutant.items() if k != "tests"}, flush=True)


if __name__ == "__main__":
    main()
