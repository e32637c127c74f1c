"""Which matrices are adapted, and how an adapter is put on a model. q and k are left out: GGUF keeps their rows in another
order, so that an exported adapter would not be exact."""

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from .failure import TrainingFailure

TARGETS = {
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
"""Names of the matrices in transformers and in GGUF (after `blk.N.`)."""


def add_lora(
    model: PreTrainedModel, *, rank: int, alpha: int, dropout: float, targets: list[str], layers: list[int] | None = None
) -> PeftModel:
    """The model with a new adapter on `targets` (of `layers`, or of all). Only the adapter is trained, in float32."""
    unknown = [name for name in targets if name not in TARGETS]
    if unknown:
        raise TrainingFailure(f"{unknown[0]} cannot be adapted. Choose of: {', '.join(TARGETS)}")
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted
