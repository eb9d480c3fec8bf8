"""VDN: double Q-learning of a sum."""

import copy

import pytest

from macpf.learning.schedules import Clock


def test_the_joint_value_is_the_sum(make_value_based, batch):
    learner = make_value_based("vdn")
    q, _ = learner.live["agents"](learner.inputs_of(batch), batch.sizes)
    joint, extra = learner.joint_value(learner.live["mixer"], q, batch.actions, batch)
    for r, actions in enumerate(batch.actions.tolist()):
        assert joint[r].item() == pytest.approx(sum(q[r, i, a].item() for i, a in enumerate(actions)), abs=1e-6)
    assert extra is None
    assert not list(learner.live["mixer"].parameters())


@pytest.mark.parametrize("td_lambda", [0.0, 0.6])
def test_loss_and_gradients_equal_double_q_learning_written_out(
    make_value_based, batch, slow_values, slow_goals, assert_gradients_of_last_update, td_lambda
):
    learner = make_value_based("vdn", td_lambda=td_lambda)
    live = copy.deepcopy(learner.live)
    q, _ = live["agents"](learner.inputs_of(batch), batch.sizes)

    def joint(mixer, q, actions, r):
        return sum(q[r, i, a] for i, a in enumerate(actions))

    goal = slow_goals(batch, slow_values(learner, q, batch, joint), gamma=0.9, lambda_=td_lambda)
    played = batch.filled.nonzero().flatten().tolist()
    loss = sum((joint(None, q, batch.actions[r].tolist(), r) - goal[r]) ** 2 for r in played) / len(played)
    metrics = learner.learn(batch, Clock())
    assert metrics["train/loss/td"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_gradients_of_last_update(loss, learner.live, list(live.parameters()))
