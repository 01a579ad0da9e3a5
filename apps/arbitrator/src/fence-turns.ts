/** Work on the fences of sets: of one set one after the other, whichever contract it is for. */
export function createFenceTurns(): (setId: string, work: () => Promise<void>) => Promise<void> {
  const turns = new Map<string, Promise<void>>();
  return (setId, work) => {
    const turn = (turns.get(setId) ?? Promise.resolve()).then(work);
    const over = turn
      .catch(() => undefined)
      .then(() => {
        if (turns.get(setId) === over) turns.delete(setId);
      });
    turns.set(setId, over);
    return turn;
  };
}
