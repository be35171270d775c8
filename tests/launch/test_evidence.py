"""What a result says of the machine is what those who estimate and check by it read there."""

from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from reslab.launch.evidence import hardware


@pytest.mark.parametrize(("device", "shared"), [("cpu", None), ("cuda:0", 4)])
def test_runs_that_share_a_gpu_say_so(monkeypatch, device, shared):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    trainer = Mock(spec=pl.Trainer, strategy=Mock(root_device=torch.device(device)), world_size=1)
    assert hardware(trainer, {"runs_per_gpu": 4, "trainer": {}}).get("runs_per_gpu") == shared


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cuda_graph": False, "compile": False}, "steps as they are"),
        ({"cuda_graph": True, "compile": False}, "steps recorded"),
        ({"cuda_graph": False, "compile": True}, "steps compiled"),
        ({}, "steps as they are"),
        ({"cuda_graph": True, "compile": True}, "steps recorded and compiled"),
    ],
)
def test_a_result_says_how_its_steps_were_made(monkeypatch, asked, said):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    trainer = Mock(spec=pl.Trainer, strategy=Mock(root_device=torch.device("cuda:0")), world_size=1)
    assert hardware(trainer, {"trainer": asked})["stepping"] == said
