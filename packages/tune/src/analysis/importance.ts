// Which parameters matter: one entry for both estimators, as shares that sum to 1, most important first.
import { fanova, type FanovaOptions } from "./fanova.ts";
import { pedAnova, type PedAnovaOptions } from "./ped-anova.ts";
import type { StudyResults } from "./results.ts";

/** Which objective, parameters and method. */
export type ImportanceOptions = ({ readonly method?: "ped-anova" } & PedAnovaOptions) | ({ readonly method: "fanova" } & FanovaOptions);

/**
 * Share of each parameter; "ped-anova" (default) asks what makes a trial one of the best, "fanova" what moves the objective.
 *
 * @example
 * Object.keys(importance(results)).length; // 2
 */
export function importance(results: StudyResults, options: ImportanceOptions = {}): Record<string, number> {
  const raw = options.method === "fanova" ? fanova(results, options).main : pedAnova(results, options);
  const total = Object.values(raw).reduce((sum, value) => sum + value, 0);
  return Object.fromEntries(
    Object.entries(raw)
      .map(([name, value]): [string, number] => [name, total > 0 ? value / total : 0])
      .sort((a, b) => b[1] - a[1]),
  );
}
