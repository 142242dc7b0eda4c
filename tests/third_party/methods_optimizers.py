"""Keras' tests of optimizers and schedules: where they are, what is left out, what is raised."""

PLACES = {
    "sgd_test": "optimizers",
    "adam_test": "optimizers",
    "adamw_test": "optimizers",
    "nadam_test": "optimizers",
    "adagrad_test": "optimizers",
    "rmsprop_test": "optimizers",
    "optimizer_test": "optimizers",
    "learning_rate_schedule_test": "optimizers/schedules",
}
"""The test modules, and their folders in ``keras/src``."""

PRIVATE = "looks at what is private to Keras"
FLOAT8 = "variables that are overwritten by their gradients, as Keras' float8 training needs them"

NOT_APPLICABLE = {
    "adam_test": {
        "Flatten, which is not there: it is about TensorFlow's IndexedSlices": """
            test_clipnorm_indexed_slices
        """,
    },
    "nadam_test": {
        PRIVATE: "test_build_with_empty_var_list",
    },
    "optimizer_test": {
        "constraints are applied by the model here, after the optimizer": """
            test_constraints_are_applied
        """,
        "loss_scale_factor, which is refused: it is for half precision": """
            test_static_loss_scaling
        """,
        "a target of another shape than the prediction, which is refused": """
            test_ema_with_model_fit
        """,
        "TensorFlow's checkpoints and variables": """
            test_tf_checkpointing test_mixed_with_tf_variables
        """,
        FLOAT8: """
            test_overwrite_with_gradient test_overwrite_with_gradient_with_gradient_accumulation
        """,
        "Adadelta, Adamax, Lion, Ftrl and Adafactor, which are not there": """
            test_gradient_accumulation_with_weigth_decay5
            test_gradient_accumulation_with_weigth_decay6
            test_gradient_accumulation_with_weigth_decay7
            test_gradient_accumulation_with_weigth_decay9
            test_gradient_accumulation_with_weigth_decay10
            test_pickleable_optimizers5 test_pickleable_optimizers6 test_pickleable_optimizers7
            test_pickleable_optimizers9 test_pickleable_optimizers10
        """,
    },
}
"""By module and reason, the names of the methods that are not run."""

SENTENCES: dict[tuple[type[Exception], str], tuple[type[Exception], str]] = {
    (ValueError, "No gradients provided for any variable."): (
        ValueError,
        "no gradient came for any weight",
    ),
    (ValueError, "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can"): (
        ValueError,
        "only one of them can be set",
    ),
    (ValueError, "`momentum` must be a float between \\[0, 1\\]."): (
        ValueError,
        r"SGD\(momentum=.*: a number from 0 to 1 is needed",
    ),
    (ValueError, "Argument `weight_decay` must be a float. Received: weight_decay=None"): (
        ValueError,
        r"AdamW\(weight_decay=None\): a number is needed",
    ),
    (ValueError, "You are calling*"): (ValueError, "does not know its weights yet"),
}
"""What Keras raises, and what is raised here in its place."""
