"""Keras' tests of losses, metrics and softmax: where they are, what is left out, what is raised.

``metric_test`` is not among the modules: it is about variables, and metrics that are made of them.
"""

PLACES = {
    "losses_test": "losses",
    "loss_test": "losses",
    "accuracy_metrics_test": "metrics",
    "regression_metrics_test": "metrics",
    "probabilistic_metrics_test": "metrics",
    "reduction_metrics_test": "metrics",
    "softmax_test": "layers/activations",
    "numerical_utils_test": "utils",
}
"""The test modules, and their folders in ``keras/src``."""

NOT_THERE = "what is not there"
DTYPE = "half precision, which is refused"
AXIS = "an axis that is not the last, which is refused"
EACH_OUTPUT = "a weight for each output, or for all rows alike, which is refused"
NO_OUTPUTS = "predictions without an axis of outputs, with weights"
IGNORED = "ignore_class in a metric, which is refused: see metrics.SparseCategoricalCrossentropy"
SORTED = "from_sorted_ids, which is refused"
SYMBOLIC = "symbolic tensors"
UNITS = "a mask of the units, which is refused"

NOT_APPLICABLE = {
    "losses_test": {
        NOT_THERE: """
            HingeTest SquaredHingeTest CategoricalHingeTest CosineSimilarityTest KLDivergenceTest
            PoissonTest BinaryFocalCrossentropyTest CategoricalFocalCrossentropyTest CTCTest
            DiceTest TverskyTest CircleTest CategoricalGeneralizedCrossEntropyTest
        """,
        DTYPE: "test_dtype_arg",
        AXIS: """
            test_binary_segmentation_different_axis test_multi_class_segmentation_different_axis
            test_squeezes_singleton_class_dim_on_user_axis
        """,
        "Keras' config leaves delta out, and so loses it; here it is there": """
            HuberLossTest.test_config
        """,
    },
    "loss_test": {
        DTYPE: "test_dtype_arg test_default_dtype",
        "get gives a function in Keras, and an object here": "test_get_method test_pickle",
        "a function that is private to Keras": "test_squeeze_or_expand",
    },
    "accuracy_metrics_test": {
        EACH_OUTPUT: "test_weighted_nd_weights test_weighted_nd_broadcast_weights",
        NO_OUTPUTS: "test_weighted_rank_1",
        "a target of another shape than the prediction, which is refused": "test_reshape_matches",
        SORTED: """
            test_config_from_sorted_ids test_from_sorted_ids_unweighted
            test_from_sorted_ids_weighted
        """,
    },
    "regression_metrics_test": {
        NOT_THERE: "CosineSimilarityTest",
        NO_OUTPUTS: "RootMeanSquaredErrorTest.test_weighted",
        "it is empty": "MeanSquaredErrorTest.test_config",
    },
    "probabilistic_metrics_test": {
        NOT_THERE: "KLDivergenceTest PoissonTest",
        IGNORED: "test_ignore_class test_ignore_class_from_logits test_ignore_class_weighted",
    },
    "reduction_metrics_test": {
        NOT_THERE: "SumTest",
        SYMBOLIC: """
            test_weighted_dynamic_shapes test_weighted_dynamic_shape
            test_binary_accuracy_with_boolean_inputs
        """,
        EACH_OUTPUT: "MetricWrapperTest.test_weighted_broadcast",
    },
    "softmax_test": {
        AXIS: "test_softmax_correctness_with_mask",
        UNITS: """
            test_softmax_mask_broadcastable test_softmax_mask_broadcastable_fewer_dims
            test_softmax_masked_values_are_zero_including_fully_masked
        """,
    },
    "numerical_utils_test": {
        NOT_THERE: "test_build_pos_neg_masks test_normalize",
    },
}
"""By module and reason, the names of the methods, or of whole classes, that are not run."""

SENTENCES: dict[tuple[type[Exception], str], tuple[type[Exception], str]] = {
    (ValueError, "must have the same shape"): (ValueError, "the target y has shape"),
    (ValueError, "Invalid value for argument"): (ValueError, "reduction='abc'.*: one of"),
    (ValueError, "Invalid value for argument `class_aggregation`"): (
        ValueError,
        r"R2Score\(class_aggregation='wrong'\): one of",
    ),
    (ValueError, "Invalid value for argument `num_regressors`"): (
        ValueError,
        r"R2Score\(num_regressors=-1\): a whole number is needed, 0 or more",
    ),
    (ValueError, "expects 2D inputs with shape"): (ValueError, r"\(..., outputs\) is needed"),
    (ValueError, "broadcastable"): (ValueError, "a mask of shape"),
    (ValueError, "must not have more dimensions"): (ValueError, "a mask of shape"),
}
"""What Keras raises, and what is raised here in its place."""
