"""What happens beside a training: stopping it, saving, logging. Keras: ``keras.callbacks``.

callback                 what every callback is: the moments at which it may act, and its memory
callback_list            all callbacks of one fit, told together
history                  the loss and metrics of every epoch, which fit returns
monitor                  what is better, and whether it has become so
early_stopping           ends a training that no longer improves
reduce_lr_on_plateau     takes smaller steps when it no longer improves
learning_rate_scheduler  the learning rate of each epoch, from a function
model_checkpoint         the model in a file, after every epoch or the best ones
backup_and_restore       a fit that was killed goes on where it was, to the same bits
save_frequency           after every epoch, or after so many batches
averages                 what an epoch that is not over has added up so far
memory                   the memory of callbacks as numbers and arrays, for a file
csv_logger               the loss and metrics of every epoch in a table
terminate_on_nan         ends a training whose loss is no number
lambda_callback          a callback made of functions
"""

from lstm_ref.training.callbacks.backup_and_restore import BackupAndRestore
from lstm_ref.training.callbacks.callback import Begin, Callback
from lstm_ref.training.callbacks.callback_list import CallbackList
from lstm_ref.training.callbacks.csv_logger import CSVLogger
from lstm_ref.training.callbacks.early_stopping import EarlyStopping
from lstm_ref.training.callbacks.history import History
from lstm_ref.training.callbacks.lambda_callback import LambdaCallback
from lstm_ref.training.callbacks.learning_rate_scheduler import LearningRateScheduler
from lstm_ref.training.callbacks.model_checkpoint import ModelCheckpoint
from lstm_ref.training.callbacks.monitor import MonitorCallback
from lstm_ref.training.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from lstm_ref.training.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "Begin",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
