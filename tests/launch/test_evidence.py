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
    assert hardware(trainer, 4).get("runs_per_gpu") == shared
