import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex } from "../../src/bytes/hex.ts";
import { decodePayloads, encodePayloads } from "../../src/codec/codec.ts";
import type { Proposal, SaPayload, Transform } from "../../src/codec/message.ts";
import {
  type AcceptableMkt,
  buildMktProposals,
  checkMktAnswer,
  chooseMktProposal,
  type MktExchange,
  offeredSendId,
} from "../../src/policy/mktProposal.ts";

const sha1 = 2;
const cmac = 8;
const sha256 = 12;
const terms: AcceptableMkt = { integrity: [sha1, cmac], tcpOptions: [1, 0], keyExchange: [] };

const plain = (type: number, id: number): Transform => ({ type, id, attributes: [] });
function proposal(sendId: number, ...transforms: readonly Transform[]): Proposal {
  return { number: 1, protocolId: 201, spi: Uint8Array.of(sendId), transforms };
}

function encoded(proposals: readonly Proposal[]): string {
  return hex(encodePayloads([{ kind: "SA", proposals }]).bytes);
}

function chosen(offer: readonly Proposal[], own: AcceptableMkt, exchange: MktExchange = "CREATE_CHILD_SA"): unknown {
  const recvId = offeredSendId(offer);
  if (recvId === undefined) return undefined;
  const result = chooseMktProposal(offer, own, { sendId: 0x11, recvId, exchange });
  if (!result.ok) return result.error.reason;
  const { answer: _, ...choice } = result.value;
  return choice;
}

/*
 *   SA | Proposal #1 (TCP_AO 201, SPI size 1, 4 transforms, SPI = 0x01)
 *      | INTEG AUTH_HMAC_SHA1_96 | INTEG AUTH_AES_CMAC_96 | TCP_OPT 1 | TCP_OPT 0
 */
const figure8 =
  "0000002d" + // SA: no next payload, 45 octets
  "00000029" + // last proposal, 41 octets
  "01c90104" + // #1, protocol 201, SPI size 1, 4 transforms
  "01" + // SPI
  "0300000803000002" +
  "0300000803000008" +
  "03000008f1000001" +
  "00000008f1000000";

test("the initiator's SA payload is draft-mahesh-karp-rkmp figure 8, octet by octet", () => {
  assert.equal(encoded(buildMktProposals(terms, 0x01, "IKE_AUTH")), figure8);
});

/* The responder chose HMAC-SHA-1-96 and to protect the options; its SendID is 0x11. */
const figure9 = "0000001d" + "00000019" + "01c90102" + "11" + "0300000803000002" + "00000008f1000001";

test("the responder's SA payload is draft-mahesh-karp-rkmp figure 9, octet by octet", () => {
  const offered = buildMktProposals(terms, 0x01, "IKE_AUTH");
  const choice = chooseMktProposal(offered, terms, { sendId: 0x11, recvId: 0x01, exchange: "IKE_AUTH" });
  assert.ok(choice.ok);
  assert.equal(encoded([choice.value.answer]), figure9);
  const { answer: _, ...rest } = choice.value;
  assert.deepEqual(rest, { recvId: 0x01, integrity: sha1, tcpOptions: 1 });
});

test("figure 9 is a right answer to figure 8: RecvID 0x11, HMAC-SHA-1-96, options covered", () => {
  const [answer] = decodePayloads(33, Uint8Array.from(Buffer.from(figure9, "hex")));
  assert.equal(answer?.kind, "SA");
  const result = checkMktAnswer(buildMktProposals(terms, 0x01, "IKE_AUTH"), answer as SaPayload);
  assert.deepEqual(result, { ok: true, value: { recvId: 0x11, integrity: sha1, tcpOptions: 1 } });
});

test("the responder's own order decides", () => {
  const offered = buildMktProposals(terms, 1, "CREATE_CHILD_SA");
  const own = { integrity: [sha256, cmac, sha1], tcpOptions: [0, 1], keyExchange: [] };
  assert.deepEqual(chosen(offered, own), { recvId: 1, integrity: cmac, tcpOptions: 0 });
});

test("PFS is chosen when both want it, and refused when only one does (RFC 7296 section 1.3.1)", () => {
  const pfs = { ...terms, keyExchange: [31, 19] };
  const either = { ...terms, keyExchange: [31, 0] };
  const offer = (own: AcceptableMkt): readonly Proposal[] => buildMktProposals(own, 1, "CREATE_CHILD_SA");
  const plainChoice = { recvId: 1, integrity: sha1, tcpOptions: 1 };
  assert.deepEqual(chosen(offer(pfs), pfs), { ...plainChoice, keyExchange: 31 });
  assert.deepEqual(chosen(offer(pfs), { ...terms, keyExchange: [20, 19] }), { ...plainChoice, keyExchange: 19 });
  assert.equal(chosen(offer(pfs), terms), "noProposalChosen");
  assert.equal(chosen(offer(terms), pfs), "noProposalChosen");
  assert.deepEqual(chosen(offer(either), terms), plainChoice);
  assert.deepEqual(chosen(offer(terms), either), plainChoice);
  assert.deepEqual(chosen(offer(either), pfs), { ...plainChoice, keyExchange: 31 });
});

test("the method of the KE payload is preferred where it is accepted", () => {
  const pfs = { ...terms, keyExchange: [31, 19] };
  const options = { sendId: 2, recvId: 1, exchange: "CREATE_CHILD_SA", sentKeyExchange: 19 } as const;
  const choice = chooseMktProposal(buildMktProposals(pfs, 1, "CREATE_CHILD_SA"), pfs, options);
  assert.equal(choice.ok && choice.value.keyExchange, 19);
});

test("IKE_AUTH has no KE: none is offered, one that is offered is not chosen (RFC 7296 section 1.2)", () => {
  const pfs = { ...terms, keyExchange: [31] };
  assert.equal(encoded(buildMktProposals(pfs, 0x01, "IKE_AUTH")), figure8);
  const withKe = proposal(1, plain(3, sha1), plain(241, 1), plain(4, 31));
  assert.equal(chosen([withKe], pfs, "IKE_AUTH"), "noProposalChosen");
  const withNone = proposal(1, plain(3, sha1), plain(241, 1), plain(4, 31), plain(4, 0));
  assert.deepEqual(chosen([withNone], pfs, "IKE_AUTH"), { recvId: 1, integrity: sha1, tcpOptions: 1 });
});

test("INTEG and TCP_OPT are mandatory (draft-mahesh-karp-rkmp figure 7)", () => {
  assert.equal(chosen([proposal(1, plain(3, sha1))], terms), "noProposalChosen");
  assert.equal(chosen([proposal(1, plain(241, 1))], terms), "noProposalChosen");
});

test("ENCR, SN or an unknown transform type make the proposal unacceptable (RFC 7296 section 3.3.6)", () => {
  for (const type of [1, 5, 99]) {
    assert.equal(chosen([proposal(1, plain(3, sha1), plain(241, 1), plain(type, 0))], terms), undefined);
  }
});

test("an unknown id or an attribute only makes its transform unacceptable (RFC 7296 section 3.3.6)", () => {
  const strange = { ...plain(3, cmac), attributes: [{ kind: "TV", type: 14, value: 128 } as const] };
  const offer = proposal(1, plain(3, 999), strange, plain(3, sha1), plain(241, 7), plain(241, 0));
  assert.deepEqual(chosen([offer], { ...terms, integrity: [cmac, sha1] }), {
    recvId: 1,
    integrity: sha1,
    tcpOptions: 0,
  });
});

test("INTEG without a TCP-AO algorithm is never chosen, whatever the lists say", () => {
  const odd = { ...terms, integrity: [5, 0] };
  assert.equal(chosen(buildMktProposals(odd, 1, "CREATE_CHILD_SA"), odd), "noProposalChosen");
});

test("of ESP and TCP_AO in one SA payload exactly the TCP_AO proposal is chosen (RFC 7296 section 3.3.6)", () => {
  const esp: Proposal = { number: 1, protocolId: 3, spi: new Uint8Array(4), transforms: [plain(1, 20), plain(5, 0)] };
  const mkt = { ...proposal(9, plain(3, sha1), plain(241, 1)), number: 2 };
  const choice = chooseMktProposal([esp, mkt], terms, { sendId: 3, recvId: 9, exchange: "IKE_AUTH" });
  assert.ok(choice.ok);
  assert.deepEqual([choice.value.answer.number, choice.value.answer.protocolId], [2, 201]);
  assert.equal(offeredSendId([esp]), undefined);
});

test("an SPI that is not one octet makes no MKT proposal", () => {
  for (const length of [0, 4]) {
    assert.equal(
      offeredSendId([{ ...proposal(1, plain(3, sha1), plain(241, 1)), spi: new Uint8Array(length) }]),
      undefined,
    );
  }
});

test("a proposal with another SPI than the one that policy was asked about is passed over", () => {
  const first = proposal(1, plain(3, 999), plain(241, 1));
  const second = { ...proposal(2, plain(3, sha1), plain(241, 1)), number: 2 };
  assert.equal(chosen([first, second], terms), "noProposalChosen");
});

const bad: readonly (readonly [string, Proposal])[] = [
  ["an algorithm that was not offered", proposal(5, plain(3, sha256), plain(241, 1))],
  ["two algorithms", proposal(5, plain(3, sha1), plain(3, cmac), plain(241, 1))],
  ["no TCP_OPT", proposal(5, plain(3, sha1))],
  ["KE without PFS in the offer", proposal(5, plain(3, sha1), plain(241, 1), plain(4, 31))],
  ["ESP", { ...proposal(5, plain(3, sha1), plain(241, 1)), protocolId: 3 }],
  ["an SPI of 4 octets", { ...proposal(5, plain(3, sha1), plain(241, 1)), spi: new Uint8Array(4) }],
  [
    "a Key Length",
    proposal(5, { ...plain(3, sha1), attributes: [{ kind: "TV", type: 14, value: 160 }] }, plain(241, 1)),
  ],
];
for (const [what, answer] of bad) {
  test(`the initiator refuses an answer with ${what} (RFC 7296 section 3.3.6)`, () => {
    const result = checkMktAnswer(buildMktProposals(terms, 1, "CREATE_CHILD_SA"), { kind: "SA", proposals: [answer] });
    assert.equal(result.ok ? undefined : result.error.reason, "invalidAnswer");
  });
}

test("the initiator refuses an answer that drops PFS (RFC 7296 section 3.3.6)", () => {
  const offered = buildMktProposals({ ...terms, keyExchange: [31] }, 1, "CREATE_CHILD_SA");
  const without = proposal(5, plain(3, sha1), plain(241, 1));
  assert.equal(checkMktAnswer(offered, { kind: "SA", proposals: [without] }).ok, false);
});

const anyTerms = fc.record({
  integrity: fc.subarray([sha1, cmac, sha256], { minLength: 1 }),
  tcpOptions: fc.subarray([1, 0], { minLength: 1 }),
  keyExchange: fc.subarray([31, 19, 0]),
});
const exchanges = fc.constantFrom<MktExchange>("IKE_AUTH", "CREATE_CHILD_SA");

test("property: what the responder chooses, the initiator accepts; the two MKTs mirror each other", () => {
  fc.assert(
    fc.property(anyTerms, anyTerms, exchanges, fc.nat(255), fc.nat(255), (initiator, responder, exchange, a, b) => {
      const offered = buildMktProposals(initiator, a, exchange);
      const choice = chooseMktProposal(offered, responder, { sendId: b, recvId: a, exchange });
      if (!choice.ok) {
        assert.equal(haveCommon(initiator, responder, exchange), false);
        return;
      }
      const check = checkMktAnswer(offered, { kind: "SA", proposals: [choice.value.answer] });
      assert.ok(check.ok);
      const { answer: _, ...chosenTerms } = choice.value;
      assert.deepEqual(check.value, { ...chosenTerms, recvId: b });
      assert.equal(choice.value.recvId, a);
      assert.ok(responder.integrity.includes(check.value.integrity));
      assert.ok(responder.tcpOptions.includes(check.value.tcpOptions));
    }),
  );
});

/** By enumeration, apart from the code under test. */
function haveCommon(a: AcceptableMkt, b: AcceptableMkt, exchange: MktExchange): boolean {
  const methods = (own: AcceptableMkt): readonly number[] =>
    exchange === "IKE_AUTH" || own.keyExchange.length === 0 ? [0] : own.keyExchange;
  return (
    a.integrity.some((id) => b.integrity.includes(id)) &&
    a.tcpOptions.some((id) => b.tcpOptions.includes(id)) &&
    methods(a).some((id) => methods(b).includes(id))
  );
}
