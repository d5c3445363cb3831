"""What one policy proposes, given its alarm and what its cooldown remembers."""

from __future__ import annotations

import numpy as np

from planner.scaling.alarms import MetricStream
from planner.scaling.policies import Adjustment, Delay, Policy, Step, StepScaling
from planner.scaling.proposals import Proposal, Stepper, Wish


def stepper(percent: float, comparison: str, load: float) -> Stepper:
    """A step policy at 50 % whose newest datapoint is `load` vCPU on ten tasks of one vCPU."""
    above = comparison == ">="
    step = Step(0.0, None, percent) if above else Step(None, 0.0, percent)
    settings = StepScaling(50.0, (step,), comparison=comparison, adjustment_type=Adjustment.PERCENT)  # type: ignore[arg-type]
    stream = MetricStream(1, 60, Delay(), np.random.default_rng(0))
    stream.record(0, load, 10)
    made = Stepper(settings, Policy(1, 1, 99, step=(settings,)), stream)
    made.out_cooldown.start(0, 20)  # twenty tasks when it last scaled out; a scale-in since left ten
    made.observe(60)
    return made


def test_a_step_that_scales_in_never_adds_tasks_whatever_its_cooldown_began_with() -> None:
    """20 tasks less 10 % are 18, more than the 10 there are: still a scale-in, of 10 by 10 %."""
    assert stepper(-10.0, "<=", 2.0).propose(60, 10, 99) == Proposal(Wish.IN, 9)


def test_a_step_that_scales_out_counts_what_its_cooldown_began_with() -> None:
    assert stepper(10.0, ">=", 9.0).propose(60, 10, 99) == Proposal(Wish.OUT, 22)  # 20 and a tenth
