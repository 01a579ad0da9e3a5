import type { Database } from '@antirio/host';

/** What the process would have done next. */
export class Killed extends Error {}

/** Ends the process, as far as anybody can see, before or after one of its durable steps. */
export interface Life {
  isOver: boolean;
  /** Runs a step that others can see; after the end nothing is done any more. */
  step<T>(work: () => T): T;
}

/** Ends at the so manieth step, before it or after it. */
export function lifeOf(steps: number, isDone: boolean): Life {
  let left = steps;
  return {
    isOver: false,
    step(work) {
      if (this.isOver) throw new Killed();
      left -= 1;
      if (left > 0) return work();
      this.isOver = true;
      if (isDone) work();
      throw new Killed();
    },
  };
}

/** The database of a process that may end at any of its commits. */
export function mortal(db: Database, life: Life): Database {
  return new Proxy(db, {
    get(target, name) {
      if (name === 'exec')
        return (sql: string) => (sql === 'COMMIT' ? life.step(() => target.exec(sql)) : target.exec(sql));
      if (name === 'prepare')
        return (sql: string) => {
          const statement = target.prepare(sql);
          const run = statement.run.bind(statement) as (...args: unknown[]) => unknown;
          const alone = (...args: unknown[]): unknown =>
            target.isTransaction ? run(...args) : life.step(() => run(...args));
          return new Proxy(statement, {
            get: (of, key) => {
              if (key === 'run') return alone;
              const value: unknown = Reflect.get(of, key);
              return typeof value === 'function' ? (value.bind(of) as unknown) : value;
            },
          });
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
