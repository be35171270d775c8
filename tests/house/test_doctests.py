"""The examples of the notebook API run as written."""

import doctest

import pytest

from reslab import api


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_examples_of_the_api(finished_run):
    found = doctest.testmod(api, extraglobs={"finished_run": finished_run})
    assert found.failed == 0
    assert found.attempted >= 8
