"""Training loops that are one compiled program, whoever computes the gradient."""

from jaxbp.training.descent import batch_rows as batch_rows
from jaxbp.training.descent import descend as descend
from jaxbp.training.digits import DigitsOutcome as DigitsOutcome
from jaxbp.training.digits import fit_digits as fit_digits
from jaxbp.training.digits import predict_digits as predict_digits
from jaxbp.training.digits import train_digits as train_digits
from jaxbp.training.loop import fit as fit
from jaxbp.training.metrics import accuracy as accuracy
from jaxbp.training.metrics import classifier_metrics as classifier_metrics
from jaxbp.training.metrics import confusion as confusion
from jaxbp.training.predict import predict as predict
from jaxbp.training.run import NonFiniteLoss as NonFiniteLoss
from jaxbp.training.run import TrainingResult as TrainingResult
from jaxbp.training.saved import Saved as Saved
from jaxbp.training.saved import load as load
from jaxbp.training.saved import read_notes as read_notes
from jaxbp.training.saved import save as save
from jaxbp.training.state import EarlyStopping as EarlyStopping
from jaxbp.training.state import TrainingState as TrainingState
from jaxbp.training.step import make_step as make_step
