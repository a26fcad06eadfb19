// Where the threads of a device meet: the first bytes of its memory, and what each word says.
// Words that different threads write lie 128 bytes apart, so that none waits for another's cache line.

/** Indices of 32-bit words from the start of memory; times are in the unit their name says. */
export interface ControlLayout {
  /** Counts commands in the high 24 bits; the low 8 are the number of threads that take part (0: none, but stay awake). Written last. */
  readonly epoch: number;
  /** The command: which program to run, and its table of addresses. */
  readonly program: number;
  readonly table: number;
  /** Threads that sleep on `epoch`; only then is a notification worth its system call. */
  readonly idleSleepers: number;
  /** Threads that wait for commands or work on one. */
  readonly ready: number;
  /** The barrier: arrivals, its generation (−1: broken by a failed thread), sleepers on the generation. */
  readonly arrived: number;
  readonly generation: number;
  readonly barrierSleepers: number;
  /** Not 0 when a thread gave up waiting at the barrier. */
  readonly absent: number;
  /** The first failure since it was last cleared: thread + 1, the length of its message, then one character a word. */
  readonly failure: number;
  readonly failureLength: number;
  /** completed + thread: the last epoch this thread is done with. */
  readonly completed: number;
  /**
   * claimed + claimedWords·thread + slot: how many came for a piece of this thread's share of a kernel; the barrier after the phase
   * clears them. So many kernels of a phase have a slot.
   */
  readonly claimed: number;
  readonly claimedWords: number;
  readonly claimedSlots: number;
  /** First byte that buffers may use. */
  readonly end: number;
  /** How long an idle thread spins before it sleeps: it must outlast the gap between two steps of a training loop. */
  readonly idleSpinMilliseconds: number;
  /** Rounds of the barrier's loop before it sleeps: at least 50 µs, or threads sleep past each other's 20 µs wake-ups. */
  readonly barrierSpins: number;
  /** Seconds at a barrier after which the missing thread counts as lost, besides what its work may take. */
  readonly barrierSeconds: number;
  /** Seconds that a failed run waits for threads to come back: for those that still compute, and where one was missed already. */
  readonly settleSeconds: number;
  readonly absentSeconds: number;
}

export const controlLayout: ControlLayout = {
  epoch: 32, program: 33, table: 34,
  idleSleepers: 64,
  ready: 96,
  arrived: 128,
  generation: 160,
  barrierSleepers: 192, absent: 193,
  failure: 224, failureLength: 225,
  completed: 512,
  claimed: 1024,
  claimedWords: 32,
  claimedSlots: 4,
  end: 12_288,
  idleSpinMilliseconds: 1,
  barrierSpins: 32_768,
  barrierSeconds: 10,
  settleSeconds: 60,
  absentSeconds: 1,
};

/** Most threads a device uses. */
export const maximumThreads = 64;
