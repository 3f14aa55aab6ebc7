"""The command `emotion-ai`, also as `python -m emotion_ai.pipeline.cli`."""

from emotion_ai.pipeline.cli.interruption import interrupted


def main() -> None:
    """Import and run the command line, which may take a second."""
    try:
        from emotion_ai.pipeline.cli.main import main as run_command
    except KeyboardInterrupt:
        interrupted()
    run_command()


if __name__ == "__main__":
    main()
