"""Many runs: each cell in a process of its own, skipped where it has ended, and named at the end if it did not."""

from pathlib import Path

from omegaconf import DictConfig

from ganlab.choose import ConfigError
from ganlab.compose import Cell, settings
from ganlab.reporting.results import read_result, write_json
from ganlab.run import CONFIG, RESULT, finished


def check(cells: list[Cell]) -> None:
    """Refuse, before the first starts, cells whose folders hold other settings; raises ConfigError."""
    for cell in cells:
        finished(cell.config, cell.directory)


def run_cell(tree: DictConfig) -> None:
    """What Hydra's launchers call for each cell, in this process or in one of theirs."""
    from hydra.core.hydra_config import HydraConfig

    from ganlab.isolate import run_apart

    directory = Path(HydraConfig.get().runtime.output_dir)
    config = settings(tree)
    shown = directory.name
    if finished(config, directory) is not None:
        print(f"{shown}: has ended before", flush=True)
        return
    if not (directory / CONFIG).exists():
        write_json(directory / CONFIG, config.model_dump(mode="json"))
    status = run_apart(directory)
    print(f"{shown}: {outcome(directory, status)}", flush=True)


def outcome(directory: Path, status: int | None = None) -> str:
    """One phrase for how a cell stands."""
    if status is not None and status < 0:
        return f"killed by signal {-status}; see {directory}/log.txt"
    if not (directory / RESULT).exists():
        return f"failed; see {directory}/log.txt" if status else "not started"
    result = read_result(directory / RESULT)
    if result.status != "finished":
        return f"{result.status}; see {directory}/log.txt"
    best = ", ".join(f"{name} {value:.3g}" for name, value in list(result.metrics.items())[:2])
    return f"finished in {result.seconds:.0f} s; {best}"


def report(cells: list[Cell]) -> int:
    """Say what is there and what is not, by name; 0 where every cell has finished, else 1."""
    unfinished = {}
    for cell in cells:
        try:
            done = finished(cell.config, cell.directory)
        except ConfigError as error:
            unfinished[cell.directory.name] = str(error)
            continue
        if done is None or done.status != "finished":
            unfinished[cell.directory.name] = outcome(cell.directory)
    folder = cells[0].directory.parent
    print(f"{len(cells) - len(unfinished)} of {len(cells)} runs finished in {folder}")
    for name, why in unfinished.items():
        print(f"  {name}: {why}")
    if unfinished:
        print(f"the same command goes on with them (add hydra.sweep.dir={folder} where no study is named)")
    print(f"compare them: python -m ganlab.compare {folder}")
    print(f"watch them:   tensorboard --logdir {folder}")
    return 1 if unfinished else 0
