import type { Feed } from './feed.ts';
import { encodeFrame } from './frame.ts';
import type { FlightPlan } from './plan.ts';

/** The way to the service on one edge. */
export interface Link {
  /** Whether the service takes frames now; false also where it cannot be asked. */
  serves(): Promise<boolean>;
  /** Resolves once the service has said, provably, that the frame's event is on the disk. Rejects where it did not. */
  send(sequence: number, bytes: Uint8Array): Promise<{ readonly eventBytes: number }>;
  close(): Promise<void>;
}

/** A frame that was acknowledged; times are wall ms. */
export interface Acknowledged {
  readonly sequence: number;
  readonly leg: number;
  readonly capturedAt: number;
  readonly ackedAt: number;
  readonly bytes: number;
  readonly eventBytes: number;
}

/** The drone streams to another leg's edge from now on. */
export interface Handed {
  readonly leg: number;
  readonly at: number;
  /** The edge before, and whether it still served when the next one did: made before broken. */
  readonly from: number | undefined;
  readonly overlapped: boolean;
}

export interface FlightReport {
  readonly captured: number;
  readonly acknowledged: number;
  /** Left the buffer before they were acknowledged: lost. */
  readonly dropped: number;
  /** Still unacknowledged at the end: lost. */
  readonly left: number;
  /** Attempts that failed; their frames went again. */
  readonly failedAttempts: number;
  /** The most frames that waited at once. */
  readonly mostWaiting: number;
  readonly handed: readonly Handed[];
}

export interface FlightPorts {
  readonly plan: FlightPlan;
  readonly feed: Feed;
  readonly links: readonly Link[];
  /** Wall ms. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onAck: (ack: Acknowledged) => void;
  readonly onHanded: (handed: Handed) => void;
}

const LOOK_MS = 40;
/** After an attempt that failed. */
const PAUSE_MS = 60;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly capturedAt: number;
}

/**
 * Flies the route once. Frames wait in the order of their numbers until they are acknowledged; they go to the farthest leg that is in
 * reach and serves. So the next edge gets them as soon as it serves, and the one before none any more: nothing is in between.
 */
class Flight {
  readonly #ports: FlightPorts;
  readonly #key: Uint8Array;
  readonly #waiting = new Map<number, Waiting>();
  /** Frames by the leg to whose edge they are on their way. */
  readonly #underWay = new Map<number, number>();
  readonly #handed: Handed[] = [];
  #serving: readonly boolean[] = [];
  #leg: number | undefined;
  #captured = 0;
  #acknowledged = 0;
  #dropped = 0;
  #failedAttempts = 0;
  #mostWaiting = 0;
  #pausedUntil = 0;

  constructor(ports: FlightPorts) {
    this.#ports = ports;
    this.#key = new Uint8Array(Buffer.from(ports.plan.key, 'hex'));
  }

  async run(): Promise<FlightReport> {
    const { plan, now, sleep } = this.#ports;
    const { takeOffAt, speed, routeLength, framesPerSecond, patienceMs } = plan;
    const landsAt = takeOffAt + (1000 * routeLength) / speed;
    const frames = Math.floor((routeLength / speed) * framesPerSecond);
    let flying = true;
    const looking = this.#look(() => flying);
    while (now() < takeOffAt) await sleep(Math.min(100, Math.max(1, takeOffAt - now())));
    while (this.#captured < frames) {
      const due = takeOffAt + (1000 * this.#captured) / framesPerSecond;
      if (due > now()) await sleep(due - now());
      this.#capture();
      this.#pump();
    }
    const until = Math.max(landsAt, now()) + patienceMs;
    while (this.#waiting.size > 0 && now() < until) await sleep(LOOK_MS);
    flying = false;
    await looking;
    return {
      captured: this.#captured,
      acknowledged: this.#acknowledged,
      dropped: this.#dropped,
      left: this.#waiting.size,
      failedAttempts: this.#failedAttempts,
      mostWaiting: this.#mostWaiting,
      handed: this.#handed,
    };
  }

  #position(): number {
    const { plan, now } = this.#ports;
    return Math.min(plan.routeLength, Math.max(0, ((now() - plan.takeOffAt) / 1000) * plan.speed));
  }

  #capture(): void {
    const { plan, feed, now } = this.#ports;
    const sequence = this.#captured++;
    const capturedAt = now();
    const frame = { flight: plan.flight, sequence, capturedAt, picture: feed.picture(sequence) };
    if (this.#waiting.size >= plan.bufferFrames) this.#dropOldest();
    this.#waiting.set(sequence, { bytes: encodeFrame(frame, this.#key), capturedAt });
    this.#mostWaiting = Math.max(this.#mostWaiting, this.#waiting.size);
  }

  /** One that is under way may still be acknowledged. */
  #dropOldest(): void {
    const oldest = [...this.#waiting.keys()].find((sequence) => !this.#underWay.has(sequence));
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    this.#dropped += 1;
  }

  async #look(flying: () => boolean): Promise<void> {
    const { sleep } = this.#ports;
    while (flying()) {
      await this.#choose();
      this.#pump();
      await sleep(LOOK_MS);
    }
  }

  /** The farthest leg that is in reach and serves. */
  async #choose(): Promise<void> {
    const { plan, links } = this.#ports;
    const at = this.#position();
    const inReach = plan.legs.map(({ reach }) => at >= reach.from && at <= reach.until);
    this.#serving = await Promise.all(
      links.map((link, i) => (inReach[i] === true ? link.serves() : Promise.resolve(false))),
    );
    const next = this.#serving.lastIndexOf(true);
    this.#change(next < 0 ? undefined : next);
  }

  #change(leg: number | undefined): void {
    if (leg === this.#leg) return;
    const from = this.#leg;
    this.#leg = leg;
    this.#pausedUntil = 0;
    if (leg === undefined) return;
    const overlapped = from !== undefined && this.#serving[from] === true;
    const handed: Handed = { leg, at: this.#ports.now(), from: this.#lastLeg(), overlapped };
    this.#handed.push(handed);
    this.#ports.onHanded(handed);
  }

  #lastLeg(): number | undefined {
    return this.#handed.at(-1)?.leg;
  }

  #pump(): void {
    const { plan, now } = this.#ports;
    const leg = this.#leg;
    if (leg === undefined || now() < this.#pausedUntil) return;
    // what an edge that is gone still holds up must not hold up the next one
    let room = plan.underWay - [...this.#underWay.values()].filter((to) => to === leg).length;
    for (const [sequence, waiting] of this.#waiting) {
      if (room <= 0) return;
      if (this.#underWay.has(sequence)) continue;
      room -= 1;
      void this.#send(leg, sequence, waiting);
    }
  }

  async #send(leg: number, sequence: number, { bytes, capturedAt }: Waiting): Promise<void> {
    const { links, now, onAck } = this.#ports;
    this.#underWay.set(sequence, leg);
    try {
      const link = links[leg];
      if (link === undefined) return;
      const { eventBytes } = await link.send(sequence, bytes);
      if (!this.#waiting.delete(sequence)) return;
      this.#acknowledged += 1;
      onAck({ sequence, leg, capturedAt, ackedAt: now(), bytes: bytes.length, eventBytes });
    } catch {
      // it still waits, and goes again: here, or to the next edge
      this.#failedAttempts += 1;
      if (leg === this.#leg) this.#pausedUntil = now() + PAUSE_MS;
    } finally {
      this.#underWay.delete(sequence);
      this.#pump();
    }
  }
}

export function fly(ports: FlightPorts): Promise<FlightReport> {
  return new Flight(ports).run();
}
