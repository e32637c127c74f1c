"""Models for a Triton of the tests that are wrong on purpose, each over a real one. `draft_wrong` spoils the second token of every
guess of `tensorrt_llm_draft`; `draft_failing` fails from its third guess on; `target_credulous` is `tensorrt_llm`, but takes
every guess for right."""

import os
import sys

sys.path[:0] = os.environ["LOCAL_MODEL_PATH"].split(os.pathsep)
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402

INPUTS = ("input_ids", "input_lengths", "request_output_len", "end_id", "pad_id", "runtime_top_k", "streaming")


class TritonPythonModel:
    """What it does wrong goes by its name."""

    def initialize(self, args):
        self.name = args["model_name"]
        self.under = "tensorrt_llm" if self.name == "target_credulous" else "tensorrt_llm_draft"
        self.asked = 0

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            self.asked += 1
            final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            if self.name == "draft_failing" and self.asked > 2:
                failed = pb_utils.InferenceResponse(error=pb_utils.TritonError("out of memory, on purpose"))
                sender.send(failed, flags=final)
                continue
            for tokens in self.answers(request):
                tensor = pb_utils.Tensor("output_ids", np.array([[tokens]], np.int32))
                sender.send(pb_utils.InferenceResponse([tensor]))
            sender.send(flags=final)

    def answers(self, request):
        given = {name: pb_utils.get_input_tensor_by_name(request, name) for name in (*INPUTS, "draft_input_ids")}
        given = {name: tensor.as_numpy().reshape(1, -1) for name, tensor in given.items() if tensor is not None}
        guess = given.pop("draft_input_ids", np.empty((1, 0), np.int32)).reshape(-1).tolist()
        call = pb_utils.InferenceRequest(
            model_name=self.under,
            requested_output_names=["output_ids"],
            inputs=[pb_utils.Tensor(name, value) for name, value in given.items()],
        )
        for response in call.exec(decoupled=True):
            output = pb_utils.get_output_tensor_by_name(response, "output_ids")
            if output is None:
                continue
            tokens = output.as_numpy().reshape(-1).tolist()
            if self.name == "draft_wrong" and len(tokens) > 1:
                tokens[1] = tokens[1] - 1 if tokens[1] > 100 else tokens[1] + 100
            yield guess + tokens[-1:] if guess else tokens
