"""Keras' tests of callbacks: where they are, what is left out, what is raised.

Not among the modules are those of callbacks that are refused: ``orbax_checkpoint_test``,
``remote_monitor_test``, ``swap_ema_weights_test`` and ``tensorboard_test``.
"""

PLACES = {
    f"{name}_test": "callbacks"
    for name in (
        "backup_and_restore",
        "callback",
        "csv_logger",
        "early_stopping",
        "lambda_callback",
        "learning_rate_scheduler",
        "model_checkpoint",
        "monitor_callback",
        "reduce_lr_on_plateau",
        "terminate_on_nan",
    )
}
"""The test modules, and their folders in ``keras/src``."""

COUNTS_ITSELF = "a layer written for the test that counts its calls in a weight"
PRINTED = "looks for the message in absl's log; here it is printed, and compared with Keras' there"
F1 = "compiles the metric F1Score, which is not there"

NOT_APPLICABLE = {
    "backup_and_restore_test": {
        COUNTS_ITSELF: """
            test_best_case_step test_best_case_epoch test_backup_corrupted
            test_model_deleted_case_epoch
        """,
    },
    "callback_test": {
        "a model that is written as a class of its own": """
            test_model_state_is_current_on_epoch_end
        """,
    },
    "early_stopping_test": {F1: "test_early_stopping"},
    "learning_rate_scheduler_test": {PRINTED: "test_verbose_logging"},
    "model_checkpoint_test": {
        "saves as .keras and .weights.h5, which are not written yet": """
            test_model_checkpoint_options test_model_checkpoint_loading
        """,
    },
    "monitor_callback_test": {F1: "test_monitor_op_logic"},
    "reduce_lr_on_plateau_test": {PRINTED: "test_verbose_logging"},
}
"""By module and reason, the names of the methods that are not run."""

SENTENCES: dict[tuple[type[Exception], str], tuple[type[Exception], str]] = {
    (ValueError, "Invalid value"): (ValueError, "'epoch' is needed, or a positive whole number"),
    (ValueError, "Empty `backup_dir` argument passed"): (
        ValueError,
        "the name of a folder is needed",
    ),
    (RuntimeError, "NaN or Inf loss encountered"): (RuntimeError, "NaN or Inf loss encountered"),
    (TypeError, "This optimizer was created with a `LearningRateSchedule`"): (
        TypeError,
        "schedule",
    ),
}
"""What Keras raises, and what is raised here in its place."""
