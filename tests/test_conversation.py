"""What a conversation keeps."""

from __future__ import annotations

from fedmed_tui.conversation import KEPT, Conversation, Exchange


def test_a_long_conversation_lets_its_oldest_exchanges_go() -> None:
    conversation = Conversation(("global",))

    for number in range(KEPT + 1):
        conversation.add(Exchange(job=f"chat-{number}", question=f"Question {number}?", adapters=("global",)))

    assert len(conversation.exchanges) <= KEPT
    assert conversation.exchanges[0].question == f"Question {KEPT // 3}?"
