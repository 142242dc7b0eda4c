"""Which of Keras' test methods are run in another way than they stand, and which are not, and why.

Every method of the modules in `keras_source.PLACES` that is not named here is run as it stands.
The names are those of Keras 3.15's source; one with parameters stands for all its parameters,
unless the number of some is given with it; one that several classes have is of all of them, unless
its class is given with it; and the name of a class stands for all its methods.
"""

from tests.third_party import methods_callbacks, methods_losses, methods_optimizers

SAME_NUMBERS = "same numbers"
"""Run in Keras too, and every number compared with what Keras gives."""

AS_IT_SAYS = "as it says"
"""What the test expects holds for an LSTM as well: shapes, counts, configs."""

WITH_STAND_INS = {
    "bidirectional_test": {
        "test_basics": AS_IT_SAYS,
        "test_correctness": SAME_NUMBERS,
        "test_fused_gru_matches_unfused": AS_IT_SAYS,
        "test_keeps_use_cudnn": AS_IT_SAYS,
        "test_masking": SAME_NUMBERS,
    },
    "rnn_test": {
        "test_basics": AS_IT_SAYS,
        "test_compute_output_shape_single_state": AS_IT_SAYS,
        "test_compute_output_shape_two_states": AS_IT_SAYS,
        "test_dynamic_shapes": AS_IT_SAYS,
        "test_forward_pass_two_states": SAME_NUMBERS,
        "test_masking": SAME_NUMBERS,
        "test_passing_initial_state_two_states": SAME_NUMBERS,
        "test_serialization": AS_IT_SAYS,
        "test_statefulness_two_states": SAME_NUMBERS,
    },
    "stacked_rnn_cells_test": {
        "test_basics": AS_IT_SAYS,
        "test_correctness_single_state_stack": SAME_NUMBERS,
        "test_correctness_two_states_stack": SAME_NUMBERS,
        "test_statefullness_single_state_stack": SAME_NUMBERS,
        "test_statefullness_two_states_stack": SAME_NUMBERS,
    },
    "time_distributed_test": {
        "test_mask_validation_with_3d_mask": AS_IT_SAYS,
        "test_mask_validation_with_both_batch_and_timesteps_mismatched": AS_IT_SAYS,
        "test_mask_validation_with_correct_shape": AS_IT_SAYS,
        "test_mask_validation_with_mismatched_batch_size": AS_IT_SAYS,
        "test_mask_validation_with_mismatched_timesteps": AS_IT_SAYS,
        "test_mask_validation_with_none_mask": AS_IT_SAYS,
    },
}
"""Methods that are run with `stand_ins`: an LSTM for a recurrent layer that is not there."""

WITH_OTHER_WEIGHTS = {
    "lstm_test": (
        "test_correctness", "test_statefulness", "test_pass_initial_state", "test_masking",
    ),
    "bidirectional_test": ("test_statefulness", "test_pass_initial_state", "test_return_state"),
    "time_distributed_test": ("test_correctness",),
}  # fmt: skip
"""Methods that are run once more, with weights of which no two are alike, beside Keras.

As they stand all weights of a kind are the same, and i, g and o might be confused.
"""

QUANTIZED = "lstm_ref computes in float32 and float64: no quantization"
LORA = "lstm_ref has no LoRA: its arguments are refused"
SPARSE = "lstm_ref has no sparse and no ragged tensors"
FUNCTIONAL = "the functional API: layers of lstm_ref are called on numbers"
STORE = "a store of Keras' own files: reading them is tested with the formats"
ONE_STATE = "unpacks the one state of its cell, and an LSTM has two"
SEED_GENERATOR = "Keras' SeedGenerator, which is refused: a seed is a number"
AXES = "input_axes and output_axes, which are refused: kernels here are matrices"
DISTRIBUTED = "layouts over several devices, of Keras on JAX alone"

NOT_APPLICABLE = {
    "bidirectional_test": {
        "asks which of Keras' kernels would be chosen, by a method that is private to Keras": """
            test_fused_lstm_eligibility test_fused_gru_eligibility
        """,
        "a GRU on a GPU with Keras on PyTorch": """
            test_torch_cudnn_bidirectional_gru_dispatch_fires
        """,
    },
    "rnn_test": {
        ONE_STATE: """
            test_forward_pass_single_state test_passing_initial_state_single_state
            test_statefulness_single_state test_go_backwards
        """,
        FUNCTIONAL: "test_stateful_batch_size_mismatch_raises",
    },
    "time_distributed_test": {
        "a Conv2D on a symbolic tensor": "test_build",
        "a layer written for the test that reads the mask of a single step": "test_masking",
        "numbers that are not whole, into an Embedding": "test_with_mask_zero",
    },
    "dropout_rnn_cell_test": {
        SEED_GENERATOR: "test_seed_tracking test_basics",
    },
    "masking_test": {
        "saves the model as .keras, which is not written yet": "test_masking_with_tensor",
    },
    "embedding_test": {
        QUANTIZED: """
            test_embedding_quantize_config test_quantize_int test_quantize_on_unbuilt_layer
            test_quantize_on_subclass test_quantize_when_already_quantized
            test_quantize_by_setting_dtype_policy test_quantize_invalid_mode
            test_quantize_dtype_argument test_quantize_lora_integration
            test_embedding_int8_custom_quantizer test_int4_quantization_block_size
            test_int4_block_size_serialization test_int4_block_size_with_lora
            test_int4_grouped_vs_perchannel_scale_shapes test_int4_subchannel_g_idx_created
            test_int4_perchannel_no_g_idx test_int4_subchannel_g_idx_serialization
        """,
        LORA: """
            test_enable_lora test_enable_lora_with_alpha test_lora_rank_argument
            test_enable_lora_with_embeddings_constraint test_enable_lora_when_already_enabled
        """,
        SPARSE: "test_sparse test_ragged test_correctness_sparse",
        STORE: "test_legacy_load_own_variables",
    },
    "dense_test": {
        QUANTIZED: """
            test_dense_quantize_config test_quantize_int test_quantize_on_unbuilt_layer
            test_quantize_on_subclass test_quantize_when_already_quantized
            test_quantize_by_setting_dtype_policy test_quantize_invalid_mode
            test_quantize_dtype_argument test_quantize_lora_integration test_quantize_float8
            test_quantize_float8_fitting test_quantize_float8_inference test_gptq_serialization
            test_awq_serialization test_int4_kernel_returns_unpacked_form
            test_int4_gptq_kernel_returns_unpacked_form test_gptq_kernel_packing
            test_int4_awq_kernel_returns_unpacked_form test_awq_kernel_packing
            test_dense_int8_custom_quantizer test_dense_int8_weight_only_quantizer
            test_dense_int4_custom_quantizer test_int4_quantization_block_size
            test_int4_block_size_serialization test_int4_block_size_with_lora
            test_int4_grouped_vs_perchannel_scale_shapes test_int4_subchannel_g_idx_created
            test_int4_perchannel_no_g_idx test_int4_subchannel_g_idx_serialization
        """,
        LORA: """
            test_enable_lora test_enable_lora_with_alpha test_lora_weight_name
            test_lora_rank_argument test_enable_lora_with_kernel_constraint
            test_enable_lora_on_unbuilt_layer test_enable_lora_when_already_enabled
        """,
        SPARSE: "test_dense_sparse",
        STORE: "test_legacy_load_own_variables",
    },
    "repeat_vector_test": {
        FUNCTIONAL: """
            test_repeat_vector_with_dynamic_batch_size test_repeat_vector_with_dynamic_dimension
        """,
    },
    "constraints_test": {
        "the class of all constraints, which constrains nothing in Keras and is abstract here": """
            test_default_constraint_call
        """,
    },
    "constant_initializers_test": {
        "an array as an initializer, which is refused": "test_constant_initializer_array_value",
        "STFT, which is not there: it is for audio spectrograms": "test_stft_initializer",
    },
    "random_initializers_test": {
        SEED_GENERATOR: "test_random_normal test_serialization_with_seed_generator",
        "None as an initializer, which is refused": "test_get_method",
        "an array as an initializer, which is refused": "test_get_method_with_tensor",
        AXES: """
            test_compute_fans_with_axes test_variance_scaling_with_axes
            test_variance_scaling_serialization_with_axes
        """,
        "MultiHeadAttention, which is not there": "test_mha_query_projection_variance",
    },
    "initializer_test": {
        DISTRIBUTED: """
            test_initializer_with_data_parallel_layout test_initializer_with_model_parallel_layout
        """,
    },
    **methods_optimizers.NOT_APPLICABLE,
    **methods_callbacks.NOT_APPLICABLE,
    **methods_losses.NOT_APPLICABLE,
}
"""By module and reason, the names of the methods that are not run."""


def not_applicable(module: str) -> dict[str, str]:
    """The names of the methods of a module that are not run, each with its reason."""
    reasons = NOT_APPLICABLE.get(module, {})
    return {name: reason for reason, names in reasons.items() for name in names.split()}
