"""How fast a network is here, beside what a user would pick instead.

    from slimnets.benchmarking.measuring import measure
    from slimnets.benchmarking.workload import Work

    results = measure([Work("resnet_v2_50", batch_size=16)], compare=["onnxruntime"])

Every subject runs in a process of its own. These take turns, a few steps each, so that
what else the machine does falls on all of them alike; ratios are medians over turns.
"""
