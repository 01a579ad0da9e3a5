import { expect, test } from '@jest/globals';
import { createEngine } from './engine.ts';
import { rollDice } from './random.ts';

test('what is due happens by its time, and at the same moment in the order in which it was asked for', () => {
  const dice = rollDice(1, 'engine');
  const engine = createEngine();
  const asked: { readonly due: number; readonly order: number }[] = [];
  const happened: typeof asked = [];
  const ask = (delayMs: number): void => {
    const one = { due: engine.now + delayMs, order: asked.length };
    asked.push(one);
    engine.after(delayMs, () => {
      expect(engine.now).toBe(one.due);
      happened.push(one);
      // most ask for something more, some of it at once
      if (asked.length < 5000) for (let i = dice.below(4); i > 0; i--) ask(dice.below(20));
    });
  };
  for (let i = 0; i < 300; i++) ask(dice.below(50));
  engine.runUntil(100_000, () => false);
  expect(asked.length).toBeGreaterThan(4000);
  expect(happened).toEqual(asked.toSorted((a, b) => a.due - b.due || a.order - b.order));
  expect(engine.events).toBe(asked.length);
});
