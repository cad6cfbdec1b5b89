import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from wsikd.losses.classification import balanced_weights, cross_entropy_loss


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40))
def test_weights_are_those_of_scikit_learn(labels):
    classes = np.unique(labels)
    expected = compute_class_weight("balanced", classes=classes, y=labels)
    assert balanced_weights(labels) == pytest.approx(dict(zip(classes, expected, strict=True)))


def test_a_weighted_mean_is_the_mean_over_classes_of_each_class_mean():
    labels, losses = ["a", "b", "b", "b", "b"], np.array([5.0, 1.0, 2.0, 3.0, 6.0])
    weights = balanced_weights(labels)
    weighted = np.mean([weights[label] * loss for label, loss in zip(labels, losses, strict=True)])
    assert weighted == pytest.approx((5.0 + 3.0) / 2)


def test_a_batch_of_one_keeps_its_weight():
    logits, label = torch.tensor([[0.3, -1.2]]), torch.tensor([1])
    weighted = cross_entropy_loss(logits, label, torch.tensor([2.5]))
    assert weighted.item() == pytest.approx(2.5 * F.cross_entropy(logits, label).item())


def test_without_weights_it_is_the_mean_of_minus_the_log_probability():
    logits, labels = torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([1, 1])
    by_hand = (np.log1p(np.exp(-1)) + np.log1p(np.exp(2))) / 2
    assert cross_entropy_loss(logits, labels).item() == pytest.approx(by_hand, rel=1e-6)
