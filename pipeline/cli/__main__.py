"""The command `emotion-ai`, also as `python -m emotion_ai.pipeline.cli`."""

from emotion_ai.pipeline.cli.interruption import exit_interrupted


def main() -> None:
    """Import and run the command line; the import may take a second."""
    try:
        from emotion_ai.pipeline.cli.main import main as run_command
    except KeyboardInterrupt:
        exit_interrupted()
    run_command()


if __name__ == "__main__":
    main()
