import { describe, expect, test } from '@jest/globals';
import type { ContractTerms } from '@antirio/service-contract';
import {
  ada,
  ben,
  central,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  validation,
  type TestLedger,
} from './machine.fixture.ts';

function open(changes: object): { ledger: TestLedger; terms: ContractTerms; validated: unknown } {
  const ledger = createTestLedger();
  register(ledger, ada, ben);
  const terms = makeTerms(1, changes);
  return { ledger, terms, validated: ledger.send(central, validation(terms, ada, ben)) };
}

const said = ({ contractId }: ContractTerms, sampled: number, answered: number) =>
  ({ type: 'drill/downlinks', contractId, sampled, answered }) as const;

describe('drill downlinks on the ledger', () => {
  test('READY waits for as many sensors as the terms say, by the customer’s word', () => {
    const { ledger, terms } = open({ downlinkDrills: { motes: 4, forReady: 1 } });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: false, code: 'conflict' });
    expect(ledger.send(ben, said(terms, 1, 1))).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, said(terms, 1, 2))).toMatchObject({ code: 'invalidInput' });
    const many = terms.set.devices.length + 1;
    expect(ledger.send(ada, said(terms, many, 1))).toMatchObject({ code: 'invalidInput' });
    expect(ledger.send(ada, said(terms, 1, 0))).toMatchObject({ ok: true });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: false, code: 'conflict' });
    expect(ledger.send(ada, said(terms, 1, 1))).toMatchObject({ ok: true });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
    expect(contractOf(ledger, terms.contractId)).toMatchObject({
      ...{ life: { state: 'READY' }, downlinks: { sampled: 1, answered: 1 } },
    });
  });

  test('who has been READY is not kept from it by what the customer says later', () => {
    const { ledger, terms } = open({ downlinkDrills: { motes: 4, forReady: 1 } });
    ledger.send(ada, said(terms, 1, 1));
    ledger.send(ben, ready(terms));
    ledger.send(ada, said(terms, 1, 0));
    ledger.now += terms.hearing.silentMs;
    const degrade = { type: 'contract/degrade', contractId: terms.contractId, reason: 'silent' } as const;
    expect(ledger.send(ben, degrade)).toMatchObject({ ok: true });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
  });

  test('terms that know none wait for none, and take no word on any', () => {
    const { ledger, terms } = open({});
    expect(ledger.send(ada, said(terms, 1, 1))).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
  });

  test('terms that cannot be kept are not validated', () => {
    expect(open({ downlinkDrills: { forReady: 1 } }).validated).toMatchObject({ code: 'invalidInput' });
    const relay = { downlinkDrills: { motes: 1 }, confidentiality: 'relay' };
    expect(open(relay).validated).toMatchObject({ code: 'invalidInput' });
  });
});
