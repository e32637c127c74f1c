"""The loss of one pack: what runs through the model, and at which places logits are made. Used by SFT and by tests."""

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy

from .packing import Pack


def pack_hidden(model: PeftModel, pack: Pack) -> torch.Tensor:
    """Hidden states (learnt, width) at the places that predict a learnt token."""
    core = model.get_base_model()
    device = core.device
    out = core.model(
        input_ids=pack.ids[None].to(device),
        position_ids=pack.layout.positions().to(device),
        layout=pack.layout,
        use_cache=False,
    )
    return out.last_hidden_state[0, pack.places.to(device)]


def pack_loss(model: PeftModel, pack: Pack) -> torch.Tensor:
    """Mean cross entropy over the learnt tokens. Logits are made there alone: the vocabulary is the widest matrix of all."""
    core = model.get_base_model()
    # As base.load_model left it: matrices in bfloat16 ask for autocast, and whole precision stays whole.
    fast = any(parameter.dtype == torch.bfloat16 for parameter in core.model.layers[0].parameters())
    with torch.autocast(core.device.type, torch.bfloat16, enabled=fast):
        logits = core.lm_head(pack_hidden(model, pack))
    return cross_entropy(logits.float(), pack.targets.to(logits.device))
