"""A line of a plan as `reslab train` writes it, without an experiment behind it."""

LINE = {"block": "basic", "order": "post", "shortcut": "none", "norm": "batch", "net": "cifar", "data": "digits"}
LINE |= {"recipe": "digits", "intervention": "none", "precision": "fp32", "depth": 8, "width": 16, "lr": 0.1}
LINE |= {"steps": 100, "batch": 10, "classes": 10, "params": 500, "norm_params": 10, "macs": 1000}


def line(cell="a", seed=0, **changes):
    return LINE | {"cell": cell, "seed": seed, "label": f"{cell}{seed}", "folder": f"runs/{cell}/seed={seed}"} | changes
