"""How much of its accuracy the expression model keeps on faces that are corrupted."""

from dataclasses import replace

import numpy as np

from emotion_ai.faces.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from emotion_ai.steps.evaluate.results import ModelEvaluation, Predict, Robustness

# Each is predicted 90 times; the mean share has a standard error of some 3 points then.
_MAX_FACES = 200


def with_robustness(model: ModelEvaluation, predict: Predict) -> ModelEvaluation:
    """Add the accuracies on corrupted faces of the test split, and their scores.

    Args:
        model: The expression model's evaluation.
        predict: Runs the model, from uint8 [n, 48, 48] to probabilities [n, k].
    """
    test = model.test
    chosen = np.arange(len(test.position))
    if len(chosen) > _MAX_FACES:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, _MAX_FACES, replace=False))
    truth = test.truth[chosen]
    images = model.faces.take(test.position[chosen]).images
    # At once, since each call loads the model.
    corrupted = [
        corrupt(images, name, severity + 1)
        for name in CORRUPTIONS
        for severity in range(SEVERITIES)
    ]
    predicted = predict(np.concatenate(corrupted)).argmax(1)
    is_right = predicted.reshape(len(CORRUPTIONS), SEVERITIES, len(chosen)) == truth
    found = Robustness(
        faces=len(chosen),
        clean=float((test.predicted[chosen].argmax(1) == truth).mean()),
        accuracy=is_right.mean(2),
        examples=np.concatenate([corrupt(images[:1], name, 3) for name in CORRUPTIONS]),
    )
    train, validation, scores = model.scores
    return replace(
        model, robustness=found, scores=(train, validation, {**scores, **found.scores()})
    )
