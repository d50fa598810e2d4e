"""Train a classifier of irises, and log it with MLflow. It knows nothing of amlflow."""

import argparse

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float, default=1.0)
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

x, y = load_iris(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)

mlflow.set_experiment("irises")
mlflow.sklearn.autolog(log_models=False)  # params and training metrics of the estimator, by themselves

with mlflow.start_run(run_name="logistic"):
    model = LogisticRegression(C=args.c, max_iter=500).fit(x_train, y_train)

    mlflow.sklearn.autolog(disable=True)
    steps = SGDClassifier(loss="log_loss", random_state=0)
    for epoch in range(args.epochs):
        steps.partial_fit(x_train, y_train, classes=[0, 1, 2])
        mlflow.log_metric("sgd_accuracy", steps.score(x_test, y_test), step=epoch)

    mlflow.log_metric("accuracy", model.score(x_test, y_test))
    mlflow.log_dict({"coefficients": model.coef_.tolist()}, "coefficients.json")
