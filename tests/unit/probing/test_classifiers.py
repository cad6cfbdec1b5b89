from itertools import repeat

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity

from wsikd.probing.classifiers import fit_linear, nearest_neighbours
from wsikd.training.settings import RunSettings


class ClassifierSettings(RunSettings):
    batch: int = 32

    @property
    def items_per_step(self):
        return self.batch


def clouds(count=300, *, width=8, classes=3, distance=2.0, seed=0):
    """Points around one centre for each class, in coordinates of very different scale."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = distance * np.eye(classes, width)
    scale = np.geomspace(1e-3, 1e3, width)
    points = (centres[labels] + random.normal(size=(count, width))) * scale + 5 * scale
    return torch.tensor(points, dtype=torch.float32), torch.tensor(labels)


def test_finds_the_logistic_regression_on_standardised_points():
    points, labels = clouds()
    settings = ClassifierSettings(learning_rate=0.05, weight_decay=0.0, batch=len(points))
    layer = fit_linear(points, repeat(points, 400), labels, 3, settings)
    plain = points.double().numpy()
    standardised = (plain - plain.mean(0)) / plain.std(0)
    oracle = LogisticRegression(C=np.inf).fit(standardised, labels)
    probabilities = layer(points).softmax(1).numpy()
    assert probabilities == pytest.approx(oracle.predict_proba(standardised), abs=0.01)


def test_decides_as_the_optimum_after_a_hundred_epochs_on_classes_far_apart():
    points, labels = clouds(distance=6.0)
    settings = ClassifierSettings(learning_rate=1e-3, weight_decay=0.0)
    layer = fit_linear(points, repeat(points, 100), labels, 3, settings)
    assert torch.equal(layer(points).argmax(1), labels)


def test_the_layer_depends_on_the_seed_of_the_order_alone():
    points, labels = clouds(60)

    def fit(seed):
        return fit_linear(
            points, repeat(points, 3), labels, 3, ClassifierSettings(seed=seed)
        ).weight

    assert torch.equal(fit(1), fit(1))
    assert not torch.equal(fit(1), fit(2))


def test_a_coordinate_that_never_changes_does_no_harm():
    points, labels = clouds(60)
    points[:, 2] = 7.0
    layer = fit_linear(points, repeat(points, 3), labels, 3, ClassifierSettings())
    assert layer(points).isfinite().all()


def test_neighbours_vote_by_cosine_similarity():
    known, labels = clouds(60, seed=1)
    asked, _ = clouds(20, seed=2)
    shares = nearest_neighbours(known, labels, asked, 4, k=5)
    nearest = np.argsort(-cosine_similarity(asked, known), axis=1)[:, :5]
    by_hand = [np.bincount(labels.numpy()[row], minlength=4) / 5 for row in nearest]
    assert shares == pytest.approx(np.array(by_hand))


def test_all_vote_where_there_are_fewer_than_k():
    known, labels = torch.eye(2), torch.tensor([0, 1])
    assert nearest_neighbours(known, labels, known, 2, k=20).tolist() == [[0.5, 0.5], [0.5, 0.5]]
