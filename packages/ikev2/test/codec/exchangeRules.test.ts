import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerMisbehaved } from "../../src/bytes/errors.ts";
import { unhex } from "../../src/bytes/hex.ts";
import { checkPayloads, checkProtection } from "../../src/codec/checkPayloads.ts";
import { exchangeRuleFor, exchangeRules, type MessageRule, responseRuleFor } from "../../src/codec/exchangeRules.ts";
import type { Message, Payload, Proposal } from "../../src/codec/message.ts";
import { encodePlainNotify } from "../../src/codec/notifies/notify.ts";
import { ExchangeType } from "../../src/registry/exchangeType.ts";
import { NotifyType } from "../../src/registry/notifyType.ts";

const empty = unhex("");
const transform = (type: number, id: number) => ({ type, id, attributes: [] });
const ike = (spi = "", number = 1): Proposal => ({
  number,
  protocolId: 1,
  spi: unhex(spi),
  transforms: [transform(1, 20), transform(2, 5), transform(4, 31)],
});
const mkt = (number = 1): Proposal => ({
  number,
  protocolId: 201,
  spi: unhex("3d"),
  transforms: [transform(3, 8), transform(241, 1)],
});
const sa = (...proposals: readonly Proposal[]): Payload => ({ kind: "SA", proposals });
const ke: Payload = { kind: "KE", method: 31, data: unhex("aa") };
const nonce: Payload = { kind: "Nonce", data: new Uint8Array(16) };
const idi: Payload = { kind: "IDi", idType: 2, data: unhex("7231") };
const idr: Payload = { kind: "IDr", idType: 2, data: unhex("7232") };
const auth: Payload = { kind: "AUTH", method: 2, data: unhex("aa") };
const cert: Payload = { kind: "CERT", encoding: 4, data: unhex("30") };
const certReq: Payload = { kind: "CERTREQ", encoding: 4, authorities: empty };
const tsi: Payload = { kind: "TSi", selectors: [{ kind: "unknown", tsType: 9, data: unhex("00") }] };
const tsr: Payload = { kind: "TSr", selectors: [{ kind: "unknown", tsType: 9, data: unhex("00") }] };
const cp: Payload = { kind: "CP", data: unhex("01000000") };
const eap: Payload = { kind: "EAP", data: unhex("02010004") };
const del: Payload = { kind: "D", protocolId: 1, spiSize: 0, spis: [] };
const vendorId: Payload = { kind: "V", data: unhex("01") };
const unknown: Payload = { kind: "Unknown", payloadType: 200, critical: false, data: empty };
const status = encodePlainNotify(48699);
const cookie = encodePlainNotify(NotifyType.COOKIE, unhex("01"));
const failure = encodePlainNotify(NotifyType.NO_PROPOSAL_CHOSEN);
const rekeySa: Payload = { kind: "N", protocolId: 201, spi: unhex("3d"), notifyType: NotifyType.REKEY_SA, data: empty };
const spi8 = "0102030405060708";

const { ikeSaInit, ikeAuth, createChildSa, rekeyChildSa, rekeyIkeSa, informational } = exchangeRules;

const allowed: readonly (readonly [MessageRule, string, readonly Payload[]])[] = [
  [ikeSaInit.request, "SAi1, KEi, Ni", [sa(ike(), ike("", 2)), ke, nonce]],
  [ikeSaInit.request, "N(COOKIE), SAi1, KEi, Ni, V+, N+", [cookie, sa(ike()), ke, nonce, vendorId, vendorId, status]],
  [ikeSaInit.response, "SAr1, KEr, Nr, CERTREQ+", [sa(ike("", 2)), ke, nonce, certReq, certReq]],
  [ikeSaInit.refusal, "N(COOKIE)", [cookie, vendorId]],
  [
    ikeAuth.request,
    "IDi, CERT+, CERTREQ, IDr, AUTH, SAi2, TSi, TSr",
    [idi, cert, cert, certReq, idr, auth, sa(mkt()), tsi, tsr],
  ],
  [ikeAuth.request, "IDi, AUTH: childless (RFC 6023)", [idi, auth]],
  [ikeAuth.request, "IDi, AUTH, SAi2: an MKT without traffic selectors", [idi, auth, sa(mkt())]],
  [ikeAuth.request, "IDi, SAi2, TSi, TSr: asks for EAP (RFC 7296 section 2.16)", [idi, sa(mkt()), tsi, tsr, cp]],
  [ikeAuth.response, "IDr, AUTH, SAr2, TSi, TSr", [idr, cert, auth, sa(mkt(3)), tsi, tsr, unknown]],
  [ikeAuth.response, "IDr, AUTH, N(error)", [idr, auth, failure]],
  [ikeAuth.refusal, "N(AUTHENTICATION_FAILED)", [encodePlainNotify(NotifyType.AUTHENTICATION_FAILED)]],
  [createChildSa.request, "SA, Ni, KEi, TSi, TSr", [sa(mkt(), mkt(2)), nonce, ke, tsi, tsr]],
  [createChildSa.request, "SA, Ni", [sa(mkt()), nonce, status]],
  [createChildSa.response, "SA, Nr, KEr, TSi, TSr", [sa(mkt()), nonce, ke, tsi, tsr]],
  [createChildSa.refusal, "N(NO_PROPOSAL_CHOSEN)", [failure]],
  [rekeyChildSa.request, "N(REKEY_SA), SA, Ni, TSi, TSr", [rekeySa, sa(mkt()), nonce, tsi, tsr]],
  [rekeyChildSa.response, "SA, Nr", [sa(mkt()), nonce]],
  [rekeyIkeSa.request, "SA, Ni, KEi", [sa(ike(spi8)), nonce, ke, vendorId]],
  [rekeyIkeSa.response, "SA, Nr, KEr", [sa(ike(spi8)), nonce, ke]],
  [informational.request, "nothing", []],
  [informational.request, "N+, D+, CP", [status, failure, del, del, cp]],
  [informational.response, "D", [del]],
];

for (const [rule, what, payloads] of allowed) {
  test(`${rule.name}: ${what} is allowed (RFC 7296 appendix C)`, () => {
    checkPayloads(rule, payloads);
  });
}

const base = { init: [sa(ike()), ke, nonce], child: [sa(mkt()), nonce, tsi, tsr], ike: [sa(ike(spi8)), nonce, ke] };

const refused: readonly (readonly [MessageRule, readonly Payload[], code: string, message: RegExp])[] = [
  [ikeSaInit.request, [ke, nonce], "missingPayload", /0 SA/],
  [ikeSaInit.request, [sa(ike()), nonce], "missingPayload", /0 KE/],
  [ikeSaInit.request, [sa(ike()), ke], "missingPayload", /0 Nonce/],
  [ikeSaInit.request, [...base.init, nonce], "unexpectedPayload", /2 Nonce/],
  [ikeSaInit.request, [...base.init, idi], "unexpectedPayload", /1 IDi/],
  [ikeSaInit.request, [...base.init, certReq], "unexpectedPayload", /1 CERTREQ/],
  [ikeSaInit.request, [cookie, ...base.init, cookie], "unexpectedPayload", /2 N\(COOKIE\)/],
  [ikeSaInit.request, [sa(ike("", 2)), ke, nonce], "badProposal", /begins with proposal 2/],
  [ikeSaInit.request, [sa(ike(spi8)), ke, nonce], "badProposal", /SPI of 8 octets/],
  [ikeSaInit.request, [sa(mkt()), ke, nonce], "badProposal", /protocol TCP_AO/],
  [ikeSaInit.response, [sa(ike(), ike("", 2)), ke, nonce], "badProposal", /chooses 2 proposals/],
  [
    ikeSaInit.response,
    [sa({ ...ike(), transforms: [transform(1, 20), transform(1, 12)] }), ke, nonce],
    "badProposal",
    /two transforms of one type/,
  ],
  [ikeSaInit.refusal, [], "missingPayload", /no notify/],
  [ikeSaInit.refusal, [cookie, ke], "unexpectedPayload", /1 KE/],
  [ikeAuth.request, [auth], "missingPayload", /0 IDi/],
  [ikeAuth.request, [idi, idi, auth], "unexpectedPayload", /2 IDi/],
  [ikeAuth.request, [idi, auth, auth], "unexpectedPayload", /2 AUTH/],
  [ikeAuth.request, [idi, auth, nonce], "unexpectedPayload", /1 Nonce/],
  [ikeAuth.request, [idi, auth, ke], "unexpectedPayload", /1 KE/],
  [ikeAuth.request, [idi, auth, eap], "unexpectedPayload", /1 EAP/],
  [ikeAuth.request, [idi, auth, del], "unexpectedPayload", /1 D/],
  [ikeAuth.request, [idi, auth, tsi, tsr], "missingPayload", /TSi without SA/],
  [ikeAuth.request, [idi, auth, sa(mkt()), tsi], "missingPayload", /TSi without TSr/],
  [ikeAuth.request, [idi, auth, sa(mkt()), tsr], "missingPayload", /TSr without TSi/],
  [ikeAuth.request, [idi, auth, rekeySa, sa(mkt())], "unexpectedPayload", /1 N\(REKEY_SA\)/],
  [ikeAuth.request, [idi, auth, sa(ike(spi8))], "badProposal", /protocol IKE/],
  [ikeAuth.response, [idr, sa(mkt())], "missingPayload", /0 AUTH/],
  [ikeAuth.response, [auth], "missingPayload", /0 IDr/],
  [ikeAuth.response, [idi, idr, auth], "unexpectedPayload", /1 IDi/],
  [ikeAuth.response, [idr, auth, certReq], "unexpectedPayload", /1 CERTREQ/],
  [createChildSa.request, [nonce, tsi, tsr], "missingPayload", /0 SA/],
  [createChildSa.request, [sa(mkt())], "missingPayload", /0 Nonce/],
  [createChildSa.request, [...base.child, ke, ke], "unexpectedPayload", /2 KE/],
  [createChildSa.request, [...base.child, auth], "unexpectedPayload", /1 AUTH/],
  [createChildSa.request, [rekeySa, ...base.child], "unexpectedPayload", /1 N\(REKEY_SA\)/],
  [createChildSa.request, [sa(mkt(), ike(spi8, 2)), nonce], "badProposal", /protocol IKE/],
  [createChildSa.response, [sa(mkt(), mkt(2)), nonce], "badProposal", /chooses 2/],
  [createChildSa.refusal, [nonce], "unexpectedPayload", /1 Nonce/],
  [rekeyChildSa.request, base.child, "missingPayload", /0 N\(REKEY_SA\)/],
  [rekeyChildSa.request, [rekeySa, rekeySa, ...base.child], "unexpectedPayload", /2 N\(REKEY_SA\)/],
  [rekeyIkeSa.request, [sa(ike(spi8)), nonce], "missingPayload", /0 KE/],
  [rekeyIkeSa.request, [sa(ike()), nonce, ke], "badProposal", /SPI of 0 octets/],
  [rekeyIkeSa.request, [...base.ike, tsi, tsr], "unexpectedPayload", /1 TSi/],
  [rekeyIkeSa.response, [sa(mkt()), nonce, ke], "badProposal", /protocol TCP_AO/],
  [informational.request, [nonce], "unexpectedPayload", /1 Nonce/],
  [informational.request, [cp, cp], "unexpectedPayload", /2 CP/],
  [informational.response, [sa(mkt())], "unexpectedPayload", /1 SA/],
];

for (const [rule, payloads, code, message] of refused) {
  test(`${rule.name}: ${message.source} is refused`, () => {
    assert.throws(
      () => checkPayloads(rule, payloads),
      (error) => {
        assert.ok(error instanceof PeerMisbehaved, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.ok(error.message.startsWith(`${rule.name}: `));
        assert.equal(error.section, rule.section);
        assert.equal(error.notifyType, NotifyType.INVALID_SYNTAX);
        return true;
      },
    );
  });
}

test("the three forms of CREATE_CHILD_SA are told apart (RFC 7296 section 1.3)", () => {
  const form = (payloads: readonly Payload[]) => exchangeRuleFor(ExchangeType.CREATE_CHILD_SA, payloads);
  assert.equal(form(base.child), createChildSa);
  assert.equal(form([rekeySa, ...base.child]), rekeyChildSa);
  assert.equal(form(base.ike), rekeyIkeSa);
  assert.equal(form([]), createChildSa);
  assert.equal(exchangeRuleFor(ExchangeType.IKE_SA_INIT, []), ikeSaInit);
  assert.equal(exchangeRuleFor(ExchangeType.IKE_AUTH, []), ikeAuth);
  assert.equal(exchangeRuleFor(ExchangeType.INFORMATIONAL, []), informational);
  assert.equal(exchangeRuleFor(240, []), undefined);
});

test("a response is a refusal when it lacks what only success has", () => {
  assert.equal(responseRuleFor(ikeSaInit, base.init), ikeSaInit.response);
  assert.equal(responseRuleFor(ikeSaInit, [cookie]), ikeSaInit.refusal);
  assert.equal(responseRuleFor(ikeAuth, [idr, auth]), ikeAuth.response);
  assert.equal(responseRuleFor(ikeAuth, [failure]), ikeAuth.refusal);
  assert.equal(responseRuleFor(createChildSa, [failure]), createChildSa.refusal);
  assert.equal(responseRuleFor(rekeyIkeSa, base.ike), rekeyIkeSa.response);
  assert.equal(responseRuleFor(informational, []), informational.response);
});

test("IKE_SA_INIT is in the clear, everything else inside of SK (RFC 7296 sections 1.2, 3.14)", () => {
  const header = {
    initiatorSpi: 1n,
    responderSpi: 2n,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: 35,
    isInitiator: true,
    isResponse: false,
    hasHigherVersion: false,
    messageId: 1,
  };
  const clear: Message = { header, payloads: [nonce] };
  const encrypted = { firstPayload: 35, associatedData: empty, body: empty };
  const closed: Message = { header, payloads: [unknown], encrypted };
  checkProtection(ikeSaInit.request, clear);
  checkProtection(ikeAuth.request, closed);
  const wrong: readonly (readonly [MessageRule, Message, string])[] = [
    [ikeAuth.request, clear, "notEncrypted"],
    [informational.response, { header, payloads: [] }, "notEncrypted"],
    [ikeSaInit.request, { ...clear, encrypted }, "unexpectedPayload"],
    [ikeAuth.request, { ...closed, payloads: [idi] }, "notEncrypted"],
    [informational.request, { ...closed, payloads: [failure] }, "notEncrypted"],
  ];
  for (const [rule, message, code] of wrong) {
    assert.throws(() => checkProtection(rule, message), { name: "PeerMisbehaved", code });
  }
});
