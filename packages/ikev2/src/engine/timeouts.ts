/** What happens when a deadline is over. */
import { assertNever } from "../bytes/assertNever.ts";
import { failAttempt } from "./attempt.ts";
import type { EngineContext } from "./context.ts";
import { retransmit } from "./exchange.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure } from "./machine.ts";
import { giveUpMkt } from "./operations/acceptMkt.ts";
import { responderJudged } from "./operations/auth.ts";
import { initiatorJudged } from "./operations/authResponder.ts";
import { adoptPeersRekey } from "./operations/rekeyIkeSa.ts";
import { closeGracefully, discardIkeSa, removeIkeSa } from "./removal.ts";
import { renew } from "./renewal.ts";
import { submit } from "./requests.ts";
import type { Timer } from "./timer.ts";

const NO_VERDICT = "nobody judged the certificate in time";

export function timedOut(engine: EngineContext, timer: Timer): void {
  switch (timer.kind) {
    case "retransmission":
      if (!retransmit(engine, timer.sa)) unanswered(engine, timer.sa);
      return;
    case "expiry":
      timer.sa.expiry = undefined;
      expired(engine, timer.sa);
      return;
    case "renewal":
      timer.sa.renewal = undefined;
      renew(engine, timer.sa);
      return;
    case "retry":
      submit(engine, timer.peer, timer.operation);
      return;
    default:
      assertNever(timer);
  }
}

/** RFC 7296 section 2.4: only repeated requests without an answer say that the other end has failed. */
function unanswered(engine: EngineContext, sa: IkeSa): void {
  const { state } = sa;
  const failure: ExchangeFailure = { reason: "timeout", detail: "the peer did not answer" };
  switch (state.name) {
    case "saInitSent":
      failAttempt(engine, sa, state.complaint ?? failure);
      return;
    case "authSent":
      failAttempt(engine, sa, failure);
      return;
    default: {
      adoptPeersRekey(engine, sa);
      const operation = sa.outstanding?.operation;
      sa.outstanding = undefined;
      operation?.failed(engine, failure);
      removeIkeSa(engine, sa, { failure, operations: "move" });
    }
  }
}

function expired(engine: EngineContext, sa: IkeSa): void {
  const { state } = sa;
  switch (state.name) {
    case "halfOpen":
    case "closed":
      discardIkeSa(engine, sa);
      return;
    case "judgingResponder":
      responderJudged(engine, sa, state, NO_VERDICT);
      return;
    case "judgingInitiator":
      initiatorJudged(engine, sa, state, NO_VERDICT);
      return;
    case "established":
    case "redundant":
    case "replaced": {
      const { held } = state.secured;
      if (held !== undefined) giveUpMkt(engine, sa, state.secured, held);
      else if (state.name !== "established") closeGracefully(engine, sa, { operations: "move" });
      return;
    }
    case "closing":
    case "saInitSent":
    case "authSent":
      return;
    default:
      assertNever(state);
  }
}
