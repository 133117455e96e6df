"""Runs the notebook without a browser: python run.py [FILE FOR THE EXECUTED NOTEBOOK]

Prints what each cell prints, as it prints it. Exits with 1 and the error when a cell fails. The environment is the
notebook's: README.md lists its variables. BentoML keeps what it builds in a folder of its own for this run, unless
BENTOML_HOME names one.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

HERE = Path(__file__).parent


class Printing(NotebookClient):
    """A client that shows a cell's output while the cell still runs."""

    def output(self, outs, msg, display_id, cell_index):
        content = msg["content"]
        if content.get("name") == "stdout":
            print(content["text"], end="", flush=True)
        return super().output(outs, msg, display_id, cell_index)


def failed(notebook: nbformat.NotebookNode) -> str:
    """The id of the cell that ended in an error."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return next(cell.id for cell in cells if any(output.output_type == "error" for output in cell.outputs))


def main() -> int:
    notebook = nbformat.read(HERE / "iris.ipynb", as_version=4)
    with tempfile.TemporaryDirectory() as home:
        # No port that others could connect to; by whole paths, as the kernel runs in another folder than this.
        settings = Config({"KernelManager": {"transport": "ipc", "ip": f"{home}/kernel"}})
        client = Printing(
            notebook, config=settings, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
        )
        os.environ.setdefault("BENTOML_HOME", home)
        os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
        try:
            client.execute()
        except CellExecutionError as error:
            print(f"error: cell `{failed(notebook)}` of the notebook failed: {error.ename}: {error.evalue}", file=sys.stderr)
            print("\nhint: `python run.py FILE` leaves the notebook with the whole traceback in FILE", file=sys.stderr)
            return 1
        finally:
            if len(sys.argv) > 1:
                nbformat.write(notebook, sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
