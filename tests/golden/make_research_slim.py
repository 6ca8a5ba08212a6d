"""Writes research_slim/: what TensorFlow 1.15 makes of research/slim's networks.

    python3.7 tests/golden/make_research_slim.py RESEARCH [PATTERN]

RESEARCH is the folder `research` of a checkout of tensorflow/models, which has slim/
and deeplab/; it is read and never copied. Needs tensorflow 1.15.5 and tf_slim. With a
pattern only the cases whose key matches are computed anew.
"""

import fnmatch
import hashlib
import importlib
import inspect
import json
import lzma
import pathlib
import pkgutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
FILE = HERE / "research_slim" / "manifests.json.xz"
sys.path.insert(0, str(HERE.parent / "slim"))
import research_slim  # noqa: E402

NOT_NETWORKS = (
    *("_test", "_train", "_eval", "post_training_quantization"),
    *("trunc_normal", "wrapped_partial"),
)
CONTRIB = "tensorflow.contrib.slim.python.slim.nets."


def case_of(home, name, form):
    """Finds the reference's function for a case."""
    import tf_slim
    from tensorflow.contrib import slim as contrib_slim

    config = None
    if home == "factory":
        factory = importlib.import_module("nets.nets_factory")
        slim, module = tf_slim, None
        function, scope = factory.networks_map[name], factory.arg_scopes_map[name]
        if name in research_slim.CONFIGS:
            path, maker = research_slim.CONFIGS[name]
            config = getattr(importlib.import_module("nets." + path), maker)
    elif home == "pictures":
        path, function = name.split(".")
        slim, module = tf_slim, importlib.import_module("nets." + path)
        function, scope = (
            getattr(module, function),
            getattr(module, path + "_arg_scope", None),
        )
    else:
        slim, prefix = contrib_slim, CONTRIB if home == "contrib" else "deeplab.core."
        table = research_slim.CONTRIB if home == "contrib" else research_slim.DEEPLAB
        path, scope = table[name]
        module = importlib.import_module(prefix + path)
        function, scope = getattr(module, name), getattr(module, scope, None)
        if scope is None:  # resnet_v1 has its arg scope from resnet_utils
            scope = importlib.import_module(CONTRIB + "resnet_utils").resnet_arg_scope
    return research_slim.Case((home, name, form), slim, function, scope, config, module)


def signatures(prefix):
    """`{module: {function: [name or name=default]}}` of what each module defines."""
    package = importlib.import_module(prefix.rstrip("."))
    paths = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg]
    for inner in [m.name for m in pkgutil.iter_modules(package.__path__) if m.ispkg]:
        path = importlib.import_module(prefix + inner).__path__
        paths += [f"{inner}.{m.name}" for m in pkgutil.iter_modules(path)]
    found = {}
    for path in paths:
        if path.endswith(NOT_NETWORKS):
            continue
        module = importlib.import_module(prefix + path)
        found[path] = {
            name: [
                research_slim.parameter(p)
                for p in inspect.signature(value).parameters.values()
            ]
            for name, value in sorted(vars(module).items())
            if inspect.isfunction(value)
            and value.__module__.startswith(prefix)
            and name not in NOT_NETWORKS
            and not name.startswith("_")
        }
    return found


def describe(case):
    """The structure and the numbers, or the error that the reference itself raises."""
    try:
        found = case.structure()
    except Exception as error:
        return {"raises": type(error).__name__}
    quick = case.form != "training" or case.name not in research_slim.SIBLINGS
    if case.form not in ("bare", "features") and quick:
        found["numbers"] = case.numbers()
    return found


def packed(manifests):
    """Long lists, which many cases share, once under their hashes."""
    lists = {}

    def pack(value):
        if not isinstance(value, list) or len(value) < 5:
            return value
        digest = hashlib.sha1(json.dumps(value).encode()).hexdigest()[:10]
        lists[digest] = value
        return "list " + digest

    cases = {
        key: {name: pack(value) for name, value in manifest.items()}
        for key, manifest in manifests.items()
    }
    return lists, cases


def main(research, pattern="*"):
    sys.path[:0] = [research, str(pathlib.Path(research) / "slim")]
    old = json.loads(lzma.decompress(FILE.read_bytes())) if FILE.exists() else None
    old = research_slim.unpacked(old) if old else {}
    factory = importlib.import_module("nets.nets_factory")
    keys = ["/".join(case) for case in research_slim.cases(factory.networks_map)]
    manifests = {key: old[key] for key in keys if key in old}
    for key in fnmatch.filter(keys, pattern):
        start = time.time()
        manifests[key] = describe(case_of(*key.split("/")))
        seconds = f"{time.time() - start:.0f} s"
        print(key, seconds, manifests[key].get("raises", ""), flush=True)
        write({key: manifests[key] for key in keys if key in manifests})


def write(manifests):
    lists, cases = packed(manifests)
    data = {
        "signatures": {"nets": signatures("nets."), "contrib": signatures(CONTRIB)},
        "lists": lists,
        "cases": cases,
    }
    text = json.dumps(data, separators=(",", ":"))
    FILE.write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main(*sys.argv[1:])
