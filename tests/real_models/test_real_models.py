"""Trained models of other people: their weights as arrays, the outputs of their own frameworks."""

import numpy as np
import pytest

from tests.cases import BACKENDS, computing
from tests.real_models import keras_models, nam_model, torch_models
from tests.real_models.common import RIGHT_ORDER, WRONG_ORDERS, close

MODELS = {
    model.__name__: model
    for model in (
        torch_models.uzmorph,
        torch_models.uzmorph_in_keras_words,
        torch_models.streamflow,
        torch_models.rtneural_torch,
        nam_model.amplifier,
        keras_models.spikesense,
        keras_models.dtln_spectrum,
        keras_models.dtln_features,
        keras_models.rtneural_lstm,
        keras_models.rtneural_lstm_1d,
    )
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_outputs_are_those_of_the_framework(model: str, backend: str) -> None:
    with computing(backend):
        outputs = MODELS[model](RIGHT_ORDER)
    assert "y" in outputs
    for name, (got, expected) in outputs.items():
        assert close(got, expected), f"{name}: {np.max(np.abs(got - expected))}"


@pytest.mark.parametrize("order", WRONG_ORDERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_order_of_gates_is_noticed(model: str, order: str) -> None:
    got, expected = MODELS[model](order)["y"]
    assert not close(got, expected)
