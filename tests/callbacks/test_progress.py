"""Progress: only training is timed; on a GPU by its own clock, when that has come so far."""

import pytest
import pytorch_lightning as pl
import torch

from reslab.callbacks import progress
from reslab.callbacks.progress import Progress
from reslab.data.module import ImageData, Slice


class Clock:
    """A GPU's: a mark has its time when the device comes by it."""

    def __init__(self):
        self.written, self.reached = [], 0

    def mark(self):
        mark = Mark(self, len(self.written))
        self.written.append(mark)
        return mark


class Mark:
    def __init__(self, clock, place):
        self.clock, self.place, self.at = clock, place, 0.0

    def query(self):
        return self.place < self.clock.reached

    def elapsed_time(self, other):
        return 1000 * (other.at - self.at)


class Elsewhere(pl.LightningModule):
    """On a device that need not be here."""

    device = torch.device("cuda")


def slices(callback, stops, module):
    trainer, data, start = pl.Trainer.__new__(pl.Trainer), ImageData.__new__(ImageData), 0
    for stop in stops:
        batch = Slice(data, start, stop)
        callback.on_train_batch_start(trainer, module, batch, 0)
        callback.on_train_batch_end(trainer, module, None, batch, 0)
        start = stop


def test_before_the_first_slice_there_is_no_rate():
    assert Progress(lambda step, rate: None).rate() == 0.0


def test_a_cpu_is_timed_between_the_ends_of_a_slice(monkeypatch):
    times = iter([10.0, 12.0, 100.0, 103.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    told = []
    callback = Progress(lambda step, rate: told.append((step, rate)))
    slices(callback, (10, 50), pl.LightningModule())
    assert callback.seconds == 5.0, "what lies between slices is not training"
    assert told == [(10, 5.0), (50, 10.0)]


def test_it_tells_at_most_once_a_second(monkeypatch):
    times = iter([10.0, 10.1, 10.2, 10.3, 11.0, 11.2])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    told = []
    slices(Progress(lambda step, rate: told.append(step)), (1, 2, 3), pl.LightningModule())
    assert told == [1, 3]


def test_a_gpu_is_never_waited_for_and_its_first_slice_is_no_measure_of_the_others(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "_event", clock.mark)
    callback = Progress(lambda step, rate: None)
    slices(callback, (50, 100, 150), Elsewhere())
    for mark, at in zip(clock.written, (0.0, 6.5, 7.0, 7.1, 8.0, 8.1), strict=True):
        mark.at = at
    assert (callback.seconds, callback.rate()) == (0.0, 0.0), "it has come nowhere yet"
    clock.reached = 2
    assert callback.rate() == pytest.approx(50 / 6.5), "there is no other slice to go by"
    clock.reached = 6
    assert callback.rate() == pytest.approx(100 / 0.2)
    assert callback.seconds == pytest.approx(6.7), "the preparation is time of the run all the same"
