import type { Dice } from './random.ts';
import type { Engine } from './engine.ts';
import type { Trace } from './trace.ts';

/** A machine's clocks: both drift, one jumps. */
export interface HostClock {
  readonly rate: number;
  monotonic(): number;
  wall(): number;
  /** The true time at which the monotonic clock shows this. */
  trueTime(monotonic: number): number;
  jumpWall(byMs: number): void;
  /** Somebody sets it right. */
  setWall(): void;
  /** The machine was without power: its monotonic clock starts anew. */
  reboot(): void;
}

export function createClock(engine: Engine, rate: number, dice: Dice): HostClock {
  let offset = dice.between(0, 1e6);
  const wallAtFirst = dice.between(-5000, 5000);
  let wallOffset = wallAtFirst;
  return {
    rate,
    monotonic: () => offset + engine.now * rate,
    wall: () => EPOCH + engine.now * rate + wallOffset,
    trueTime: (monotonic) => (monotonic - offset) / rate,
    jumpWall: (byMs) => {
      wallOffset += byMs;
    },
    setWall: () => {
      wallOffset = wallAtFirst;
    },
    reboot: () => {
      offset = dice.between(0, 1e6) - engine.now * rate;
    },
  };
}

/**
 * A machine with one process. What it keeps in memory is gone when it crashes; what it wrote is not. While it is frozen, what
 * comes from outside waits in its sockets and its timers are late.
 */
export interface Host {
  readonly name: string;
  readonly clock: HostClock;
  readonly dice: Dice;
  readonly up: boolean;
  /** Neither frozen nor held up by its disk. */
  readonly running: boolean;
  readonly frozen: boolean;
  /** Its disk holds it up at every write. */
  readonly slow: boolean;
  /** Its disk takes nothing. */
  readonly full: boolean;
  /** Counts its starts. */
  readonly incarnation: number;
  /** What happens elsewhere at its death. */
  readonly deaths: Set<() => void>;
  /** What is done at each start, with nothing in memory. */
  onStart(begin: () => void): void;
  /** On this host's timers; forgotten at a crash. */
  after(delayMs: number, run: () => void): void;
  /** From a socket: false where nobody listens. */
  arrive(run: () => void): boolean;
  /** Tells that something has just reached the disk. May be the process's last moment: what follows is then not done. */
  wrote(what: string): void;
  /** One more step that a crash may come after, without a write. */
  stepped(): void;
  /** How long a write takes that others wait for, ms. */
  fsyncMs(): number;
  /** The same as it is about now, without chance. */
  readonly syncsInMs: number;
  start(): void;
  crash(why: string): void;
  freeze(): void;
  wake(): void;
  /** Dies right after so many more writes or steps. */
  crashAfterSteps(count: number): void;
  slowDisk(factor: number): void;
  /** A process that is to start meanwhile does once there is room. */
  fillDisk(isFull: boolean): void;
}

/** Unwinds what a process was doing when it died. */
const DIED = { died: true };
const SOCKET_BUFFER = 256;

interface Held {
  readonly run: () => void;
  readonly incarnation: number;
  readonly timer: boolean;
}

export interface HostOptions {
  readonly name: string;
  readonly rate: number;
  readonly fsyncMs: number;
}

/** The wall time, ms since the Unix epoch, at which every simulated world begins. */
export const EPOCH = 1_800_000_000_000;

export function createHost(engine: Engine, trace: Trace, dice: Dice, options: HostOptions): Host {
  const { name } = options;
  const clock = createClock(engine, options.rate, dice);
  let up = false;
  let frozen = false;
  let stalledUntil = -1;
  let incarnation = 0;
  let crashIn = 0;
  let slowness = 1;
  let full = false;
  let awaitsRoom = false;
  let begin: () => void = () => undefined;
  let held: Held[] = [];
  const deaths = new Set<() => void>();

  const isRunning = (): boolean => up && !frozen && engine.now >= stalledUntil;
  const guarded = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      if (error !== DIED) throw error;
    }
  };
  const fire = (one: Held): void => {
    if (!up || one.incarnation !== incarnation) return;
    if (isRunning()) guarded(one.run);
    else if (one.timer || held.length < SOCKET_BUFFER) held.push(one);
  };
  const letGo = (): void => {
    if (!isRunning()) return;
    const waiting = held;
    held = [];
    // which of the two the process looks at first depends on where it was stopped
    const timersFirst = dice.chance(0.5);
    const ordered = [
      ...waiting.filter((one) => one.timer === timersFirst),
      ...waiting.filter((one) => one.timer !== timersFirst),
    ];
    ordered.forEach((one, i) => {
      engine.after(i * 0.02, () => {
        fire(one);
      });
    });
  };
  const crash = (why: string): void => {
    if (!up) return;
    trace.note(name, 'DIES', () => why);
    up = false;
    frozen = false;
    stalledUntil = -1;
    crashIn = 0;
    held = [];
    incarnation++;
    if (dice.chance(0.3)) clock.reboot();
    const told = [...deaths];
    deaths.clear();
    for (const tell of told) tell();
  };
  const stepped = (): void => {
    if (crashIn === 0 || --crashIn > 0) return;
    crash('between two writes');
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- not an error: it unwinds the code of a process that is dead
    throw DIED;
  };
  return {
    name,
    clock,
    dice,
    deaths,
    get up() {
      return up;
    },
    get running() {
      return isRunning();
    },
    get frozen() {
      return frozen;
    },
    get slow() {
      return slowness > 1;
    },
    get full() {
      return full;
    },
    get syncsInMs() {
      return options.fsyncMs * slowness;
    },
    get incarnation() {
      return incarnation;
    },
    onStart: (work) => {
      begin = work;
    },
    after(delayMs, run) {
      const one = { run, incarnation, timer: true };
      engine.after(delayMs / clock.rate, () => {
        fire(one);
      });
    },
    arrive(run) {
      if (!up) return false;
      fire({ run, incarnation, timer: false });
      return true;
    },
    wrote(what) {
      trace.note(name, what, undefined, 'fine');
      if (slowness > 1) {
        stalledUntil = Math.max(
          stalledUntil,
          engine.now + options.fsyncMs * slowness * dice.between(0.5, 1.5),
        );
        engine.at(stalledUntil, letGo);
      }
      stepped();
    },
    stepped,
    fsyncMs: () => options.fsyncMs * slowness * dice.between(0.5, 2),
    start() {
      if (up) return;
      awaitsRoom = full;
      if (full) return;
      up = true;
      incarnation++;
      trace.note(name, 'STARTS');
      guarded(begin);
    },
    crash,
    freeze() {
      if (!up || frozen) return;
      frozen = true;
      trace.note(name, 'FREEZES');
    },
    wake() {
      if (!frozen) return;
      frozen = false;
      trace.note(name, 'WAKES', () => `with ${held.length} things waiting`);
      letGo();
    },
    crashAfterSteps: (count) => {
      crashIn = count;
    },
    slowDisk: (factor) => {
      slowness = factor;
    },
    fillDisk(isFull) {
      full = isFull;
      if (!full && awaitsRoom) this.start();
    },
  };
}
