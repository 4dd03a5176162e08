"""The LSTM as `torch.nn.LSTM` begins it, which papers used: the published cell without the forget gate's head
start.
"""

from torch import nn

from harness.registry import find_cell


class TorchLSTM(find_cell("lstm").cls):
    """LSTM (Hochreiter & Schmidhuber 1997; Gers 2000) whose biases all start uniform in ±1/√H."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        nn.init.uniform_(self.b, -(hidden_size**-0.5), hidden_size**-0.5)
