"""Commands as jobs: generators that the scheduler steps, one file a kind of work. `dispatch` finds the job of a command."""
