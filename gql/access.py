"""What one request may do beyond reading."""

from __future__ import annotations

from dataclasses import dataclass, replace

from asterism.gql.auth import Caller, Gate
from asterism.gql.auth_tokens import Scope
from asterism.gql.mutations_desk import Desk


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and where they can write.

    Parameters
    ----------
    caller : Caller
        Who asks.
    desk : Desk
        Where mutations are recorded.
    gate : Gate
        Who checks tokens.
    address : str
        Address of the client.
    """

    caller: Caller
    desk: Desk
    gate: Gate
    address: str

    def again(self, authorization: str) -> Access:
        """Return the access of a client that shows a token later than with its first request.

        Raises
        ------
        AccessError
            If the token is wrong or the quota is used up.
        """
        return replace(self, caller=self.gate.caller(authorization, self.address))

    def require(self, scope: Scope) -> None:
        """Return if the caller may do something, and the token still holds: a WebSocket may be open for days.

        Raises
        ------
        AccessError
            If they may not.
        """
        self.caller.require(scope)
        if self.caller.token_id is not None:
            self.gate.tokens.recheck(self.caller.token_id)
