/** The settings of the panel; names and defaults are those of schema/panel.json. */
export interface IPreferences {
  sendWith: 'Enter' | 'Accel Enter';
  saveFolder: string;
  foldCodeAfter: number;
  foldOutputAfter: number;
  restoreThread: boolean;
  instructions: string;
}

export const DEFAULTS: IPreferences = {
  sendWith: 'Enter',
  saveFolder: '',
  foldCodeAfter: 14,
  foldOutputAfter: 20,
  restoreThread: true,
  instructions:
    'You are a careful data analyst. Look at the files first, then answer with Python code and say briefly what you found. Save tables and charts that were asked for under /mnt/data and link them.'
};
