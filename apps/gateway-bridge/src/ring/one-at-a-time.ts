/** Gives a function that begins a piece of work once those before it are over; at once where there is none. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> | undefined;
  return (work) => {
    const done = last === undefined ? work() : last.then(work);
    const settled: Promise<unknown> = done
      .catch(() => undefined)
      .then(() => {
        if (last === settled) last = undefined;
      });
    last = settled;
    return done;
  };
}
